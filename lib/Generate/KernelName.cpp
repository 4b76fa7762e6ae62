//===- KernelName.cpp - Symbols of kernels --------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Generate/KernelName.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace kvq;

/// A type's MLIR spelling, which is an identifier for all types of a cache.
static std::string spell(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

std::string kvq::getKernelName(const CacheKernelSpec &spec, CacheAttr cache, Type sourceType,
                               ArrayRef<FloatAttr> scales) {
  std::string name;
  llvm::raw_string_ostream os(name);
  os << "kvq_" << stringify(spec.kind) << "_" << stringify(cache.getLayout().getKind()) << "_"
     << spell(sourceType) << "_" << spell(cache.getElement()) << "_h" << cache.getKvHeads() << "_d"
     << cache.getHeadSize() << "_b" << cache.getBlockSize();
  if (cache.getAlign() != 16)
    os << "_align" << cache.getAlign();
  if (spec.bounds != Bounds::Check)
    os << "_" << stringify(spec.bounds);
  if (spec.scales == ScalesMode::Argument)
    os << "_dynamic";
  for (FloatAttr scale : scales)
    os << "_"
       << llvm::utohexstr(scale.getValue().bitcastToAPInt().getZExtValue(), /*LowerCase=*/true, 8);
  return name;
}
