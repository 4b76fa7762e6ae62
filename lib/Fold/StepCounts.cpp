//===- StepCounts.cpp - What a chip takes for each step -------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StepCounts.h"

using namespace kvq;

static constexpr unsigned never = StepCounts::never;

/// Integer code for the formats that a chip does not convert.
static void countIntegerCode(StepCounts &counts, const ChipInfo &chip, Fp8Format format) {
  const Fp8Info &info = getInfo(format);
  bool isHalfsUpperByte = format == Fp8Format::E5M2;
  counts.encode.f32 = 88;
  if (info.isFnuz()) {
    counts.decode.f32 = 80;
    return;
  }
  counts.decodesScaled = true;
  bool isGpu = chip.backend != Backend::Host;
  unsigned half = isHalfsUpperByte ? 4 : 24;
  counts.decode.f32 = half + 8;
  if (isGpu)
    counts.decode.f16 = half;
  if (chip.multipliesBF16Pairs)
    counts.decode.bf16 = 28;
}

static void countInstructions(StepCounts &counts, const ChipInfo &chip, Fp8Format format) {
  switch (chip.packedConversions) {
  case PackedConversions::None:
    counts.decode.f32 = counts.encode.f32 = 4;
    break;
  case PackedConversions::Halves:
    counts.decode = {never, 4, 12};
    counts.encode = {never, 4, 4};
    break;
  case PackedConversions::ScaledPairs:
    counts.decode = {4, 4, 4};
    counts.encode = {never, 12, 4};
    counts.scalesWhileDecoding = true;
    break;
  case PackedConversions::ScaledEights:
    counts.decode = {1, 1, 4};
    counts.encode = {never, 9, 4};
    counts.scalesWhileDecoding = true;
    break;
  }
  // AMD's conversions do not saturate: each value is clamped before.
  if (chip.backend == Backend::ROCDL)
    counts.encode.f32 += !chip.clampsNaN                                            ? 24
                         : chip.packedConversions == PackedConversions::ScaledPairs ? 16
                                                                                    : 8;
}

StepCounts kvq::getStepCounts(const ChipInfo &chip, Fp8Format format, bool isLoad) {
  StepCounts counts;
  const bool isGpu = chip.backend != Backend::Host;
  if (isLoad ? chip.loadsNatively(format) : chip.storesNatively(format))
    countInstructions(counts, chip, format);
  else
    countIntegerCode(counts, chip, format);

  counts.multiply.f32 = chip.multipliesF32Pairs ? 4 : 8;
  if (isGpu)
    counts.multiply.f16 = 4;
  if (chip.multipliesBF16Pairs)
    counts.multiply.bf16 = 4;
  counts.narrow.f16 = chip.roundsF16Pairs ? 4 : 12;
  counts.narrow.bf16 = chip.roundsToBF16 ? 4 : 44;
  counts.truncate.bf16 = 4;
  if (chip.backend == Backend::ROCDL)
    counts.truncate.f16 = 4;
  return counts;
}
