//===- HeadProofTest.cpp - One arithmetic for the scales of all heads -----===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Numerics/HeadProof.h"
#include "kvq/Numerics/FloatEnvironment.h"
#include "kvq/Numerics/Reference.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace kvq;

namespace {

float applyStore(const Arithmetic &arithmetic, float x) {
  switch (arithmetic.method) {
  case Method::None:
    return x;
  case Method::Multiply:
    return x * arithmetic.a;
  case Method::TwoStep: {
    volatile float rest = x * arithmetic.b;
    return std::fma(x, arithmetic.a, rest);
  }
  default:
    return x / arithmetic.a;
  }
}

/// Holds the proofs of a store's scales to one method, and each to the reference.
Method methodOfStores(SourceType source, const std::vector<float> &scales) {
  FloatEnvironment environment;
  const Fp8Format format = Fp8Format::E4M3FN;
  std::vector<Proof> proofs = proveStores(source, format, scales);
  EXPECT_EQ(proofs.size(), scales.size());
  for (size_t head = 0; head != scales.size(); ++head) {
    EXPECT_EQ(proofs[head].arithmetic.method, proofs[0].arithmetic.method);
    EXPECT_GT(proofs[head].inputsTried, 0u);
    const uint32_t step = source == SourceType::F32 ? 9973 * 64 : 1;
    const uint64_t end = uint64_t(1) << getBitWidth(source);
    size_t wrong = 0;
    for (uint64_t bits = 0; bits < end; bits += step)
      wrong += encode(format, applyStore(proofs[head].arithmetic, decode(source, bits))) !=
               storeReference(source, format, scales[head], bits);
    EXPECT_EQ(wrong, 0u) << scales[head];
  }
  return proofs[0].arithmetic.method;
}

TEST(HeadProof, TheDearestHeadDecides) {
  const float twoStep = 0.0229492188f;
  EXPECT_EQ(methodOfStores(SourceType::BF16, {1.0f, 1.0f}), Method::None);
  EXPECT_EQ(methodOfStores(SourceType::BF16, {1.0f, 0.5f}), Method::Multiply);
  EXPECT_EQ(proveStore(SourceType::F16, Fp8Format::E4M3FN, twoStep).arithmetic.method,
            Method::TwoStep);
  // A power of two, and 1, have a second step that adds nothing.
  EXPECT_EQ(methodOfStores(SourceType::F16, {1.0f, 0.25f, twoStep}), Method::TwoStep);
  EXPECT_EQ(methodOfStores(SourceType::F32, {1.0f, 0.25f, twoStep}), Method::TwoStep);
  EXPECT_EQ(methodOfStores(SourceType::BF16, {1.0f, 0x1p-128f, twoStep}), Method::Divide);
}

TEST(HeadProof, LoadsMultiplyUnlessAllAreOne) {
  FloatEnvironment environment;
  for (SourceType source : {SourceType::BF16, SourceType::F16, SourceType::F32})
    for (Fp8Format format : {Fp8Format::E4M3FN, Fp8Format::E5M2FNUZ}) {
      std::vector<Proof> ones = proveLoads(format, source, {1.0f, 1.0f});
      EXPECT_EQ(ones[0].arithmetic.method, Method::None);
      std::vector<float> scales = {1.0f, 0.3f, 1e-40f};
      std::vector<Proof> proofs = proveLoads(format, source, scales);
      for (size_t head = 0; head != scales.size(); ++head) {
        EXPECT_EQ(proofs[head].arithmetic.method, Method::Multiply);
        EXPECT_EQ(proofs[head].arithmetic.a, scales[head]);
        EXPECT_EQ(proofs[head].inputsTried, 256u);
      }
    }
}

} // namespace
