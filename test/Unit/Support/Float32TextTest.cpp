//===- Float32TextTest.cpp - float32 to text and back ---------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Support/Float32Text.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>

using namespace kvq;

static uint32_t bitsOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

static float ofBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

TEST(Float32Text, WritesTheShortestWithPointOrExponent) {
  EXPECT_EQ(formatFloat32(0.023f), "0.023");
  EXPECT_EQ(formatFloat32(1.0f), "1.0");
  EXPECT_EQ(formatFloat32(448.0f), "448.0");
  EXPECT_EQ(formatFloat32(0.0f), "0.0");
  EXPECT_EQ(formatFloat32(-0.0f), "-0.0");
  EXPECT_EQ(formatFloat32(2.7e-21f), "2.7e-21");
  EXPECT_EQ(formatFloat32(1e-5f), "1e-05");
  EXPECT_EQ(formatFloat32(std::numeric_limits<float>::max()), "3.4028235e+38");
  EXPECT_EQ(formatFloat32(std::numeric_limits<float>::denorm_min()), "1e-45");
  EXPECT_EQ(formatFloat32(std::nanf("")), "nan");
  EXPECT_EQ(formatFloat32(-std::numeric_limits<float>::infinity()), "-inf");
}

// A step through all exponents and many mantissas: what is written reads back
// to the same bits.
TEST(Float32Text, RoundTrips) {
  for (uint64_t bits = 0; bits <= 0xffffffffu; bits += 65521) {
    float value = ofBits(bits);
    std::string text = formatFloat32(value);
    std::optional<float> back = parseFloat32(text);
    ASSERT_TRUE(back) << text;
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(*back)) << text;
    else
      EXPECT_EQ(bitsOf(*back), bits) << text;
  }
}

TEST(Float32Text, RoundsToTheNearestAndSaturatesToInfinity) {
  EXPECT_EQ(bitsOf(*parseFloat32("16777217")), bitsOf(16777216.0f));
  EXPECT_EQ(*parseFloat32("1e39"), std::numeric_limits<float>::infinity());
  EXPECT_EQ(*parseFloat32("-1e39"), -std::numeric_limits<float>::infinity());
  EXPECT_EQ(*parseFloat32("1e999999999999999999999"), std::numeric_limits<float>::infinity());
  EXPECT_EQ(*parseFloat32("1e-999999999999999999999"), 0.0f);
  EXPECT_EQ(bitsOf(*parseFloat32("-1e-60")), bitsOf(-0.0f));
  EXPECT_EQ(*parseFloat32("0.00000000000000000000000000000000000000000000000000000001"), 0.0f);
  EXPECT_EQ(*parseFloat32("0e999"), 0.0f);
}

TEST(Float32Text, RefusesOtherText) {
  for (const char *text : {"", "-", ".", "e5", "1e", "1e+", "+1", " 1", "1 ", "0x1p3", "1.2.3",
                           "--1", "NaN", "-nan", "infinity", "1f", "1,5"})
    EXPECT_FALSE(parseFloat32(text)) << text;
}
