//===- KernelName.cpp - Symbols of kernels --------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Generate/KernelName.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace kvq;

/// A type's MLIR spelling, which is an identifier for all types of a cache.
static std::string spell(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// A layout's name, or a hash of its maps.
static std::string spell(LayoutAttr layout) {
  if (layout.getKind())
    return stringify(*layout.getKind()).str();
  return "map" + llvm::utohexstr(llvm::xxh3_64bits(layout.getText()), /*LowerCase=*/true, 16);
}

/// A scale's bits, or a hash of those of all heads.
static std::string spell(ArrayRef<float> scale) {
  if (scale.size() == 1)
    return llvm::utohexstr(llvm::bit_cast<uint32_t>(scale.front()), /*LowerCase=*/true, 8);
  std::string bits;
  for (float number : scale)
    bits += llvm::utohexstr(llvm::bit_cast<uint32_t>(number), /*LowerCase=*/true, 8);
  return "heads" + llvm::utohexstr(llvm::xxh3_64bits(bits), /*LowerCase=*/true, 16);
}

static std::string spellAlign(CacheAttr cache) {
  return "align" + std::to_string(cache.getAlign());
}

/// What names kernels apart that take their scales as arguments.
static constexpr llvm::StringLiteral dynamicWord = "dynamic";

std::string kvq::getVariantName(const CacheKernelSpec &named, const CacheKernelSpec &spec) {
  SmallVector<std::string, 2> words;
  if (spec.cache.getAlign() != named.cache.getAlign())
    words.push_back(spellAlign(spec.cache));
  if (spec.scales != named.scales)
    words.push_back(dynamicWord.str());
  return llvm::join(words, "_");
}

std::string kvq::getKernelName(const CacheKernelSpec &spec, ArrayRef<Attribute> scales) {
  CacheAttr cache = spec.cache;
  std::string name;
  llvm::raw_string_ostream os(name);
  os << "kvq_" << stringify(spec.kind) << "_" << spell(cache.getLayout()) << "_"
     << spell(spec.sourceType) << "_" << spell(cache.getElement()) << "_h" << cache.getKvHeads()
     << "_d" << cache.getHeadSize();
  if (cache.getKvLoraRank())
    os << "_r" << cache.getKvLoraRank();
  os << "_b" << cache.getBlockSize();
  if (spec.heads)
    os << "_q" << spec.heads;
  if (cache.getAlign() != CacheAttr::usualAlign)
    os << "_" << spellAlign(cache);
  if (spec.slotType != SlotType::I64)
    os << "_" << stringify(spec.slotType);
  if (spec.paddingSlot >= 0)
    os << "_padding" << spec.paddingSlot;
  if (spec.bounds != Bounds::Check)
    os << "_" << stringify(spec.bounds);
  for (float constant : spec.constants)
    os << "_" << llvm::utohexstr(llvm::bit_cast<uint32_t>(constant), /*LowerCase=*/true, 8);
  if (spec.scales == ScalesMode::Argument && !getScaleKinds(spec).empty())
    os << "_" << dynamicWord;
  for (Attribute scale : scales)
    os << "_" << spell(getScaleNumbers(scale));
  return name;
}
