//===- ReferenceTest.cpp - The reference against APFloat ------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Numerics/Reference.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <vector>

using namespace kvq;
using llvm::APFloat;
using llvm::APInt;
using llvm::bit_cast;

namespace {

const llvm::fltSemantics &semanticsOf(SourceType type) {
  switch (type) {
  case SourceType::BF16:
    return APFloat::BFloat();
  case SourceType::F16:
    return APFloat::IEEEhalf();
  case SourceType::F32:
    break;
  }
  return APFloat::IEEEsingle();
}

/// encode by APFloat: slow and beyond doubt.
uint8_t encodeByAPFloat(Fp8Format format, float value) {
  const Fp8Info &info = getInfo(format);
  if (std::isnan(value))
    return info.nanCode;
  uint8_t sign = std::signbit(value) ? 0x80 : 0;
  if (std::fabs(value) > info.maxFinite)
    return info.maxFiniteCode | sign;
  APFloat rounded(value);
  bool losesInfo;
  rounded.convert(getSemantics(format), APFloat::rmNearestTiesToEven, &losesInfo);
  return uint8_t(rounded.bitcastToAPInt().getZExtValue());
}

uint32_t encodeByAPFloat(SourceType type, float value) {
  APFloat rounded(value);
  bool losesInfo;
  rounded.convert(semanticsOf(type), APFloat::rmNearestTiesToEven, &losesInfo);
  return uint32_t(rounded.bitcastToAPInt().getZExtValue());
}

/// Every sign, exponent and leading eleven mantissa bits, with the bits below at
/// and beside a tie; then random patterns.
std::vector<float> interestingValues() {
  std::vector<float> values;
  for (uint32_t high = 0; high != 1u << 20; high += 1)
    for (uint32_t low : {0x000u, 0x001u, 0xFFFu})
      values.push_back(bit_cast<float>(high << 12 | low));
  std::mt19937 random(5);
  for (unsigned i = 0; i != 200000; ++i)
    values.push_back(bit_cast<float>(uint32_t(random())));
  return values;
}

} // namespace

TEST(Reference, EncodesFp8AsAPFloat) {
  for (Fp8Format format : allValues<Fp8Format>()) {
    unsigned differences = 0;
    for (float value : interestingValues())
      differences += encode(format, value) != encodeByAPFloat(format, value);
    EXPECT_EQ(differences, 0u) << stringify(format).str();
  }
}

TEST(Reference, EncodesSourceTypesAsAPFloat) {
  for (SourceType type : allValues<SourceType>()) {
    unsigned differences = 0;
    for (float value : interestingValues())
      if (!std::isnan(value))
        differences += encode(type, value) != encodeByAPFloat(type, value);
      else
        differences += !std::isnan(decode(type, encode(type, value)));
    EXPECT_EQ(differences, 0u) << stringify(type).str();
  }
}

TEST(Reference, DecodesSourceTypesAsAPFloat) {
  for (SourceType type : {SourceType::BF16, SourceType::F16})
    for (uint32_t bits = 0; bits != 1u << 16; ++bits) {
      float expected = APFloat(semanticsOf(type), APInt(16, bits)).convertToFloat();
      float actual = decode(type, bits);
      if (std::isnan(expected))
        ASSERT_TRUE(std::isnan(actual)) << bits;
      else
        ASSERT_EQ(bit_cast<uint32_t>(expected), bit_cast<uint32_t>(actual)) << bits;
    }
}

TEST(Reference, EveryCodeSurvivesDecodingAndEncoding) {
  for (Fp8Format format : allValues<Fp8Format>())
    for (unsigned code = 0; code != 256; ++code) {
      float value = decode(format, uint8_t(code));
      uint8_t expected = uint8_t(code);
      if (std::isnan(value))
        expected = getInfo(format).nanCode;
      else if (std::isinf(value))
        expected = (code & 0x80) | getInfo(format).maxFiniteCode;
      EXPECT_EQ(encode(format, value), expected) << stringify(format).str() << " " << code;
    }
}

TEST(Reference, StoreSaturatesAndKeepsNegativeZero) {
  const float inf = INFINITY;
  auto store = [](Fp8Format format, float x, float scale) {
    return storeReference(SourceType::F32, format, scale, bit_cast<uint32_t>(x));
  };
  EXPECT_EQ(store(Fp8Format::E4M3FN, inf, 0.5f), 0x7E);
  EXPECT_EQ(store(Fp8Format::E4M3FN, -inf, 0.5f), 0xFE);
  EXPECT_EQ(store(Fp8Format::E5M2, inf, 0.5f), 0x7B);
  EXPECT_EQ(store(Fp8Format::E4M3FNUZ, -inf, 0.5f), 0xFF);
  EXPECT_EQ(store(Fp8Format::E4M3FN, -0.0f, 3.0f), 0x80);
  EXPECT_EQ(store(Fp8Format::E4M3FNUZ, -0.0f, 3.0f), 0x00);
  EXPECT_EQ(store(Fp8Format::E5M2FNUZ, -1e-30f, 3.0f), 0x00);
  EXPECT_EQ(store(Fp8Format::E5M2FNUZ, NAN, 3.0f), 0x80);
  // Halfway between 448 and what would be 480 saturates as well.
  EXPECT_EQ(store(Fp8Format::E4M3FN, 464.0f, 1.0f), 0x7E);
}

TEST(Reference, LoadDoesNotSaturate) {
  EXPECT_EQ(loadReference(Fp8Format::E5M2, SourceType::F16, 2.0f, 0x7B), 0x7C00u);
  EXPECT_EQ(loadReference(Fp8Format::E5M2, SourceType::F16, 1.0f, 0xFC), 0xFC00u);
  EXPECT_EQ(loadReference(Fp8Format::E4M3FN, SourceType::BF16, 1.0f, 0x80), 0x8000u);
}
