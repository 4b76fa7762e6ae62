//===- ChipInfo.cpp - Questions about chips -------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Target/ChipInfo.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include <algorithm>

using namespace kvq;

namespace {

/// A row as llvm-tblgen writes it.
struct ChipRow {
  const char *name;
  const char *backend;
  const char *features;
  bool fnuz;
  uint8_t nativeStore, nativeLoad, waveSize, maxAccessBytes;
  const char *wideFeatures;
  const char *family;
  const char *packedConversions;
  bool multipliesBF16Pairs, multipliesF32Pairs, roundsToBF16, roundsF16Pairs, clampsNaN;
};

#define GET_ChipTable_DECL
#define GET_ChipTable_IMPL
#include "kvq/Target/Chips.inc"

/// The generated rows are in the order of their records' names; people expect
/// sm_89 before sm_100 and gfx909 before gfx90a, so sort by vendor, length and name.
llvm::SmallVector<ChipInfo> sortedChips() {
  llvm::SmallVector<ChipInfo> chips;
  for (const ChipRow &row : ChipTable) {
    llvm::StringRef backendName(row.backend);
    Backend backend = backendName == "NVVM"    ? Backend::NVVM
                      : backendName == "ROCDL" ? Backend::ROCDL
                                               : Backend::Host;
    llvm::StringRef packedName(row.packedConversions);
    PackedConversions packed = packedName == "Halves"         ? PackedConversions::Halves
                               : packedName == "ScaledPairs"  ? PackedConversions::ScaledPairs
                               : packedName == "ScaledEights" ? PackedConversions::ScaledEights
                                                              : PackedConversions::None;
    chips.push_back({row.name, row.family, backend, row.features, row.fnuz, row.waveSize,
                     row.maxAccessBytes, row.wideFeatures, packed, row.multipliesBF16Pairs,
                     row.multipliesF32Pairs, row.roundsToBF16, row.roundsF16Pairs, row.clampsNaN,
                     row.nativeStore, row.nativeLoad});
  }
  llvm::sort(chips, [](const ChipInfo &a, const ChipInfo &b) {
    if (a.backend != b.backend)
      return a.backend < b.backend;
    return std::pair(a.name.size(), a.name) < std::pair(b.name.size(), b.name);
  });
  return chips;
}

} // namespace

llvm::ArrayRef<ChipInfo> kvq::allChips() {
  static const llvm::SmallVector<ChipInfo> chips = sortedChips();
  return chips;
}

const ChipInfo *kvq::findChip(llvm::StringRef name) {
  auto it = llvm::find_if(allChips(), [&](const ChipInfo &chip) { return chip.name == name; });
  return it == allChips().end() ? nullptr : &*it;
}

llvm::Expected<const ChipInfo *> kvq::lookUpChip(llvm::StringRef name) {
  if (const ChipInfo *chip = findChip(name))
    return chip;
  std::string known = llvm::join(
      llvm::map_range(allChips(), [](const ChipInfo &chip) { return "'" + chip.name.str() + "'"; }),
      ", ");
  return llvm::createStringError("unknown chip '" + name + "'; known chips are " + known);
}

std::optional<Fp8Format> kvq::cacheFormat(KVCacheDtype dtype, bool fnuz) {
  switch (dtype) {
  case KVCacheDtype::Auto:
    return std::nullopt;
  case KVCacheDtype::Fp8:
  case KVCacheDtype::Fp8E4M3:
    return fnuz ? Fp8Format::E4M3FNUZ : Fp8Format::E4M3FN;
  case KVCacheDtype::Fp8E5M2:
    return fnuz ? Fp8Format::E5M2FNUZ : Fp8Format::E5M2;
  }
  return std::nullopt;
}
