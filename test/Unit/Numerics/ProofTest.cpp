//===- ProofTest.cpp - Two ways of proving, held against each other --------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Numerics/Proof.h"
#include "kvq/Numerics/Candidates.h"
#include "kvq/Numerics/Reference.h"
#include "llvm/ADT/bit.h"
#include <cfloat>
#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <vector>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

using namespace kvq;

namespace {

/// Scales at the edges, then random ones over the magnitudes that calibration
/// gives, then over all of them.
std::vector<float> scalesToTry(unsigned count) {
  std::vector<float> scales = {1.0f,      2.0f,     0.5f,      0x1p-20f,  0x1p-126f, 0x1p-127f,
                               0x1p-149f, 0x1p126f, 0x1p127f,  FLT_MAX,   FLT_MIN,   3.0f,
                               1e-38f,    1e38f,    2.5e-39f,  3e-39f,    0x1.8p0f,  0x1.000002p0f,
                               448.0f,    240.0f,   0.023438f, 0.030995f, 1e-10f,    1e10f};
  std::mt19937 random(7);
  std::uniform_real_distribution<float> exponent(-9.0f, 2.0f);
  while (scales.size() < count) {
    scales.push_back(std::exp2(exponent(random)));
    float any = llvm::bit_cast<float>(uint32_t(random()) & 0x7FFFFFFF);
    if (std::isfinite(any) && any > 0.0f)
      scales.push_back(any);
  }
  return scales;
}

llvm::SmallVector<Candidate, 8> storeCandidates(float scale) {
  return getCandidates({/*isLoad=*/false, SourceType::F32, Fp8Format::E4M3FN, scale, {}});
}

/// The candidates for `scale`, and arithmetic that is wrong by very little.
std::vector<Arithmetic> arithmeticToTry(float scale) {
  std::vector<Arithmetic> all;
  for (const Candidate &candidate : storeCandidates(scale)) {
    Arithmetic arithmetic = candidate.arithmetic;
    all.push_back(arithmetic);
    if (arithmetic.method == Method::Multiply)
      for (float bound : {0.0f, FLT_MAX})
        all.push_back({Method::Multiply, std::nextafter(arithmetic.a, bound), 0.0f});
  }
  return all;
}

} // namespace

TEST(Proof, BothWaysGiveTheSameVerdict) {
  unsigned held = 0, failed = 0;
  for (float scale : scalesToTry(300))
    for (Fp8Format format : allValues<Fp8Format>())
      for (SourceType source : {SourceType::BF16, SourceType::F16})
        for (const Arithmetic &arithmetic : arithmeticToTry(scale)) {
          bool tried = tryEveryInput(source, format, scale, arithmetic).holds;
          EXPECT_EQ(tried, trySwitchPoints(source, format, scale, arithmetic).holds)
              << scale << " " << stringify(format).str() << " " << stringify(source).str() << " "
              << stringify(arithmetic.method).str() << " " << arithmetic.a;
          ++(tried ? held : failed);
        }
  // Verdicts of both kinds, else nothing was compared.
  EXPECT_GT(held, 1000u);
  EXPECT_GT(failed, 100u);
}

TEST(Proof, SwitchPointsSeeASlightlyWrongConstant) {
  for (float scale : {0.023438f, 0.7f, 3.0f})
    for (Fp8Format format : allValues<Fp8Format>()) {
      Arithmetic wrong{Method::Multiply, 1.001f / scale, 0.0f};
      EXPECT_FALSE(trySwitchPoints(SourceType::F32, format, scale, wrong).holds);
      EXPECT_FALSE(trySwitchPoints(SourceType::BF16, format, scale, wrong).holds);
    }
}

TEST(Proof, Float32ProofHoldsOnRandomInputs) {
  std::mt19937 random(11);
  for (float scale : scalesToTry(60))
    for (Fp8Format format : allValues<Fp8Format>()) {
      Proof proof = proveStore(SourceType::F32, format, scale);
      EXPECT_TRUE(proof.bySwitchPoints);
      for (unsigned i = 0; i != 20000; ++i) {
        // Half of them near the values that the format's codes stand for.
        uint32_t bits = random();
        if (i & 1) {
          float near = decode(format, uint8_t(random())) * scale * (1.0f + (random() % 9) / 16.0f);
          bits = llvm::bit_cast<uint32_t>(near) + random() % 7 - 3;
        }
        float x = llvm::bit_cast<float>(bits);
        ASSERT_EQ(encode(format, apply(proof.arithmetic, x)),
                  storeReference(SourceType::F32, format, scale, bits))
            << scale << " " << stringify(format).str() << " " << bits;
      }
    }
}

TEST(Proof, ChoosesTheCheapestThatHolds) {
  for (Fp8Format format : allValues<Fp8Format>())
    for (SourceType source : allValues<SourceType>()) {
      EXPECT_EQ(proveStore(source, format, 1.0f).arithmetic.method, Method::None);
      EXPECT_EQ(proveStore(source, format, 0.125f).arithmetic.method, Method::Multiply);
      EXPECT_EQ(proveLoad(format, source, 1.0f).arithmetic.method, Method::None);
      EXPECT_EQ(proveLoad(format, source, 0.3f).arithmetic.method, Method::Multiply);
      EXPECT_EQ(proveLoad(format, source, 0.3f).arithmetic.a, 0.3f);
    }
}

TEST(Proof, CandidatesAreInTheOrderOfCostAndUnlikeConstantsAreDropped) {
  for (float scale : scalesToTry(300)) {
    llvm::SmallVector<Candidate, 8> candidates = storeCandidates(scale);
    EXPECT_EQ(candidates.back().arithmetic.method, Method::Divide);
    for (size_t i = 1; i < candidates.size(); ++i)
      EXPECT_LT(candidates[i - 1].cost, candidates[i].cost);
    for (const Candidate &candidate : candidates) {
      if (candidate.arithmetic.method == Method::Divide)
        continue;
      EXPECT_TRUE(std::isnormal(candidate.arithmetic.a)) << scale;
      if (candidate.arithmetic.method == Method::TwoStep) {
        EXPECT_TRUE(std::isnormal(candidate.arithmetic.b) && candidate.arithmetic.b > 0) << scale;
      }
      for (float inf : {INFINITY, -INFINITY})
        EXPECT_EQ(apply(candidate.arithmetic, inf), inf) << scale;
      EXPECT_TRUE(std::signbit(apply(candidate.arithmetic, -0.0f)));
    }
  }
}

TEST(Proof, ReciprocalsBeyondFloat32LeaveTheDivision) {
  for (float scale : {0x1p-149f, 2.5e-39f, FLT_MAX, 0x1.8p126f})
    for (SourceType source : allValues<SourceType>())
      EXPECT_EQ(proveStore(source, Fp8Format::E4M3FN, scale).arithmetic.method, Method::Divide);
}

TEST(Proof, CountsWhatWasTried) {
  for (float scale : {1.0f, 0.25f, 0.030995f, 0x1p-149f})
    for (Fp8Format format : allValues<Fp8Format>()) {
      EXPECT_EQ(proveStore(SourceType::BF16, format, scale).inputsTried, 65536u);
      EXPECT_EQ(proveStore(SourceType::F16, format, scale).inputsTried, 65536u);
      EXPECT_EQ(proveLoad(format, SourceType::F32, scale).inputsTried, 256u);
      Proof proof = proveStore(SourceType::F32, format, scale);
      EXPECT_GT(proof.inputsTried, 6u);
      EXPECT_LE(proof.inputsTried, 2u * (2 * 128 + 3));
      EXPECT_FALSE(proveStore(SourceType::BF16, format, scale).bySwitchPoints);
    }
}

namespace {
/// A chip that multiplies 16-bit pairs and rounds to 16 bits with much effort.
StepCounts packedChip() {
  StepCounts counts;
  counts.decode = {4, 4, 12};
  counts.encode = {8, 4, 8};
  counts.multiply = {4, 4, 8};
  counts.narrow = {44, 44, 0};
  counts.truncate = {4, 4, StepCounts::never};
  return counts;
}
} // namespace

// A bf16's product with a code has 12 bits at most; 11 of them are float16's.
TEST(Proof, LoadsMultiplyPairsWhereTheProductsRoundAlike) {
  for (float scale : {0.375f, 0.25f, 0.0234375f, 1.75f}) {
    for (SourceType source : {SourceType::BF16, SourceType::F16}) {
      Proof proof = proveLoad(Fp8Format::E4M3FN, source, scale, packedChip());
      EXPECT_EQ(proof.arithmetic.method, Method::MultiplyPacked) << scale;
      EXPECT_EQ(proof.arithmetic.a, scale);
      EXPECT_EQ(proof.inputsTried, 256u);
    }
    StepCounts generic;
    EXPECT_EQ(proveLoad(Fp8Format::E4M3FN, SourceType::F16, scale, generic).arithmetic.method,
              Method::Multiply);
  }
  // The smallest products are no float16 numbers.
  StepCounts halves = packedChip();
  halves.decode.bf16 = StepCounts::never;
  EXPECT_EQ(proveLoad(Fp8Format::E5M2, SourceType::F32, 0x1.8p-12f, halves).arithmetic.method,
            Method::Multiply);
}

// In the type itself, or through float32 where that costs less; the correction of
// an exponent that is right already costs nothing.
TEST(Proof, LoadsWithoutAScaleGoTheShortestWay) {
  auto inOf = [](Fp8Format format, SourceType source, const StepCounts &counts) {
    Arithmetic chosen = proveLoad(format, source, 1.0f, counts).arithmetic;
    EXPECT_EQ(chosen.method, Method::None);
    return chosen.in;
  };
  for (SourceType source : allValues<SourceType>())
    EXPECT_EQ(inOf(Fp8Format::E4M3FN, source, packedChip()), source);
  StepCounts counts;
  counts.decode = {28, 4, 12};
  counts.multiply = {4, 4, 8};
  counts.narrow = {4, 4, 0};
  counts.decodesScaled = true;
  EXPECT_EQ(inOf(Fp8Format::E5M2, SourceType::BF16, counts), SourceType::F32);
  EXPECT_EQ(inOf(Fp8Format::E5M2, SourceType::F16, counts), SourceType::F16);
  counts.decode = {8, 4, 12};
  EXPECT_EQ(inOf(Fp8Format::E5M2, SourceType::BF16, counts), SourceType::BF16);
}

// An independent look at the same: double arithmetic and the upper half.
TEST(Proof, TruncatedProductsAreTheReferences) {
  unsigned truncated = 0, moved = 0;
  for (float scale : scalesToTry(300))
    for (Fp8Format format : allValues<Fp8Format>()) {
      Arithmetic chosen = proveLoad(format, SourceType::BF16, scale, packedChip()).arithmetic;
      if (!chosen.truncates || chosen.method != Method::Multiply)
        continue;
      ++truncated;
      moved += chosen.a != scale;
      for (unsigned code = 0; code != 256; ++code) {
        uint32_t expected = loadReference(format, SourceType::BF16, scale, uint8_t(code));
        float product = float(double(decode(format, uint8_t(code))) * chosen.a);
        uint32_t upper = llvm::bit_cast<uint32_t>(product) >> 16;
        if (std::isnan(product))
          EXPECT_GT(expected & 0x7FFF, 0x7F80u);
        else
          ASSERT_EQ(upper, expected) << scale << " " << code;
      }
    }
  EXPECT_GT(truncated, 300u);
  EXPECT_GT(moved, 200u);
}

TEST(Proof, StoresMultiplyPairsByPowersOfTwoAlone) {
  for (float scale : {0.5f, 2.0f, 0x1p-6f, 0x1p8f}) {
    EXPECT_EQ(proveStore(SourceType::F16, Fp8Format::E4M3FN, scale, packedChip()).arithmetic.method,
              Method::MultiplyPacked)
        << scale;
    EXPECT_EQ(
        proveStore(SourceType::BF16, Fp8Format::E4M3FN, scale, packedChip()).arithmetic.method,
        Method::MultiplyPacked)
        << scale;
  }
  for (float scale : {0.75f, 0.023438f, 3.0f})
    for (SourceType source : {SourceType::BF16, SourceType::F16})
      EXPECT_NE(proveStore(source, Fp8Format::E4M3FN, scale, packedChip()).arithmetic.method,
                Method::MultiplyPacked)
          << scale;
  // Float32 has no pairs of 16 bits.
  EXPECT_EQ(proveStore(SourceType::F32, Fp8Format::E4M3FN, 0.5f, packedChip()).arithmetic.method,
            Method::Multiply);
}

// The product rounds once, also where float32 has no exact one.
TEST(Proof, PackedProductsRoundOnce) {
  Arithmetic bf16{Method::MultiplyPacked, 0x1.02p-100f, 0.0f, SourceType::BF16};
  // 0x1.02p-100 * 0x1.02p-32 = 0x1.0404p-132, a bit above the tie of 2^-132 and its neighbour.
  EXPECT_EQ(apply(bf16, 0x1.02p-32f), 0x1p-132f);
  EXPECT_EQ(apply(bf16, 0x1.82p-33f), 0x1p-132f);
  Arithmetic f16{Method::MultiplyPacked, 0x1.004p0f, 0.0f, SourceType::F16};
  EXPECT_EQ(apply(f16, 0x1.004p0f), 0x1.008p0f);
  EXPECT_EQ(apply(f16, 65504.0f), INFINITY);
  EXPECT_TRUE(std::isnan(apply(f16, NAN)));
  EXPECT_TRUE(std::signbit(apply(f16, -0.0f)));
}

#if defined(__SSE__)
// A library in the same process may have set them for the thread.
TEST(Proof, IgnoresFlushToZeroOfTheCallingThread) {
  unsigned saved = _mm_getcsr();
  for (float scale : {1e-37f, 0.030995f, 1e-39f})
    for (SourceType source : allValues<SourceType>()) {
      _mm_setcsr(saved);
      Proof expected = proveStore(source, Fp8Format::E4M3FN, scale);
      _mm_setcsr(saved | 0x8040 | 0x6000); // flush, denormals are zero, round toward zero
      Proof actual = proveStore(source, Fp8Format::E4M3FN, scale);
      EXPECT_EQ(_mm_getcsr() & 0xE040, 0xE040u);
      _mm_setcsr(saved);
      EXPECT_EQ(actual.arithmetic.method, expected.arithmetic.method);
      EXPECT_EQ(actual.arithmetic.a, expected.arithmetic.a);
      EXPECT_EQ(actual.arithmetic.b, expected.arithmetic.b);
      EXPECT_EQ(actual.inputsTried, expected.inputsTried);
    }
}
#endif
