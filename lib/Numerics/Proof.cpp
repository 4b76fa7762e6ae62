//===- Proof.cpp - The cheapest arithmetic with the same bits -------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Numerics/Proof.h"
#include "kvq/Numerics/FloatEnvironment.h"
#include "kvq/Numerics/Reference.h"
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace kvq {

//===----------------------------------------------------------------------===//
// By trying every input
//===----------------------------------------------------------------------===//

/// Values are evaluated in blocks that stay in the first-level cache; a wrong
/// candidate mostly fails in the first few.
static constexpr size_t blockSize = 1024;

/// The values of a 16-bit source, by bit pattern.
static llvm::ArrayRef<float> getAllValues(SourceType source) {
  auto decodeAll = [](SourceType type) {
    std::vector<float> values(1u << 16);
    for (uint32_t bits = 0; bits != values.size(); ++bits)
      values[bits] = decode(type, bits);
    return values;
  };
  static const std::vector<float> bf16 = decodeAll(SourceType::BF16);
  static const std::vector<float> f16 = decodeAll(SourceType::F16);
  return source == SourceType::F16 ? f16 : bf16;
}

/// The codes that `arithmetic` gives for `inputs`, at most blockSize of them.
static void computeCodes(const Arithmetic &arithmetic, Fp8Format format,
                         llvm::ArrayRef<float> inputs, llvm::MutableArrayRef<uint8_t> codes) {
  std::array<float, blockSize> quotients;
  llvm::MutableArrayRef<float> results(quotients.data(), inputs.size());
  apply(arithmetic, inputs, results);
  encode(format, results, codes);
}

static Trial compareEveryInput(SourceType source, Fp8Format format, float scale,
                               const Arithmetic &arithmetic) {
  const Arithmetic division{Method::Divide, scale, 0.0f};
  llvm::ArrayRef<float> values = getAllValues(source);
  std::array<uint8_t, blockSize> expected, actual;
  for (size_t first = 0; first != values.size(); first += blockSize) {
    llvm::ArrayRef<float> block = values.slice(first, blockSize);
    computeCodes(division, format, block, expected);
    computeCodes(arithmetic, format, block, actual);
    if (expected != actual)
      return {false, first + blockSize};
  }
  return {true, values.size()};
}

static Trial compareEveryCode(Fp8Format format, SourceType source, float scale,
                              const Arithmetic &arithmetic) {
  for (unsigned code = 0; code != 256; ++code) {
    uint32_t expected = loadReference(format, source, scale, uint8_t(code));
    if (applyToCode(arithmetic, format, source, uint8_t(code)) != expected)
      return {false, code + 1};
  }
  return {true, 256};
}

//===----------------------------------------------------------------------===//
// By switch points
//===----------------------------------------------------------------------===//

/// The first bit pattern that is positive infinity; the patterns up to it are
/// the values from +0 on, in order.
static uint32_t getInfinity(SourceType source) {
  return encode(source, std::numeric_limits<float>::infinity());
}

/// The bit patterns at the ends of the runs on which a store's reference takes
/// one code, on the side of zero whose sign bit is `sign`, from zero to the
/// largest finite value; then the infinity, as a run of its own.
static std::vector<uint32_t> findRunEnds(SourceType source, Fp8Format format, float scale,
                                         uint32_t sign) {
  auto codeOf = [&](uint32_t pattern) {
    return storeReference(source, format, scale, sign | pattern);
  };
  const uint32_t infinity = getInfinity(source);
  std::vector<uint32_t> ends;
  uint32_t first = 0;
  while (first != infinity) {
    // The last pattern with the code of `first`, in [last, beyond).
    uint8_t code = codeOf(first);
    uint32_t last = first, beyond = infinity;
    while (beyond - last > 1) {
      uint32_t middle = last + (beyond - last) / 2;
      (codeOf(middle) == code ? last : beyond) = middle;
    }
    ends.push_back(sign | first);
    if (last != first)
      ends.push_back(sign | last);
    first = beyond;
  }
  ends.push_back(sign | infinity);
  return ends;
}

/// The inputs that decide whether a monotone function is the reference: both
/// ends of every run and one NaN of each sign (an operation with a NaN gives a
/// NaN whatever its payload).
static std::vector<uint32_t> findDecidingInputs(SourceType source, Fp8Format format, float scale) {
  std::vector<uint32_t> inputs;
  for (uint32_t sign : {0u, 1u << (getBitWidth(source) - 1)}) {
    std::vector<uint32_t> ends = findRunEnds(source, format, scale, sign);
    inputs.insert(inputs.end(), ends.begin(), ends.end());
    inputs.push_back(sign | (getInfinity(source) + 1));
    inputs.push_back(sign | encode(source, std::numeric_limits<float>::quiet_NaN()));
  }
  return inputs;
}

static Trial compareOn(llvm::ArrayRef<uint32_t> inputs, SourceType source, Fp8Format format,
                       float scale, const Arithmetic &arithmetic) {
  uint64_t evaluations = 0;
  for (uint32_t bits : inputs) {
    ++evaluations;
    uint8_t expected = storeReference(source, format, scale, bits);
    if (encode(format, apply(arithmetic, decode(source, bits))) != expected)
      return {false, evaluations};
  }
  return {true, evaluations};
}

//===----------------------------------------------------------------------===//
// The choice
//===----------------------------------------------------------------------===//

Trial tryEveryInput(SourceType source, Fp8Format format, float scale,
                    const Arithmetic &arithmetic) {
  FloatEnvironment environment;
  return compareEveryInput(source, format, scale, arithmetic);
}

Trial trySwitchPoints(SourceType source, Fp8Format format, float scale,
                      const Arithmetic &arithmetic) {
  FloatEnvironment environment;
  return compareOn(findDecidingInputs(source, format, scale), source, format, scale, arithmetic);
}

Trial tryEveryCode(Fp8Format format, SourceType source, float scale, const Arithmetic &arithmetic) {
  FloatEnvironment environment;
  return compareEveryCode(format, source, scale, arithmetic);
}

/// The first of `candidates` for which `attempt` holds.
template <typename Attempt>
static Proof chooseFirst(llvm::ArrayRef<Candidate> candidates, bool bySwitchPoints,
                         Attempt attempt) {
  for (const Candidate &candidate : candidates) {
    Trial trial = attempt(candidate.arithmetic);
    if (trial.holds)
      return {candidate.arithmetic, trial.evaluations, bySwitchPoints};
  }
  // The last candidate is the reference itself, which cannot fail.
  return {candidates.back().arithmetic, 0, bySwitchPoints};
}

Proof proveStore(SourceType source, Fp8Format format, float scale, const StepCounts &counts) {
  FloatEnvironment environment;
  llvm::SmallVector<Candidate, 8> candidates =
      getCandidates({/*isLoad=*/false, source, format, scale, counts});
  if (source != SourceType::F32)
    return chooseFirst(candidates, false, [&](const Arithmetic &arithmetic) {
      return compareEveryInput(source, format, scale, arithmetic);
    });
  std::vector<uint32_t> inputs = findDecidingInputs(source, format, scale);
  return chooseFirst(candidates, true, [&](const Arithmetic &arithmetic) {
    return compareOn(inputs, source, format, scale, arithmetic);
  });
}

Proof proveLoad(Fp8Format format, SourceType source, float scale, const StepCounts &counts) {
  FloatEnvironment environment;
  llvm::SmallVector<Candidate, 8> candidates =
      getCandidates({/*isLoad=*/true, source, format, scale, counts});
  return chooseFirst(candidates, false, [&](const Arithmetic &arithmetic) {
    return compareEveryCode(format, source, scale, arithmetic);
  });
}

} // namespace kvq
