//===- numbers.h - bfloat16, FP8 and random numbers -------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the example checks kvq's kernels with, plain and slow.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_EXAMPLES_NUMBERS_H
#define KVQ_EXAMPLES_NUMBERS_H

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

inline float toFloat(uint16_t bfloat) {
  uint32_t bits = uint32_t(bfloat) << 16;
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

/// Rounded to nearest even; of a finite value.
inline uint16_t toBfloat(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/// An FP8 format by its table of 256 values.
class Fp8 {
public:
  /// 'f8E4M3FN', 'f8E4M3FNUZ', 'f8E5M2' or 'f8E5M2FNUZ'.
  explicit Fp8(const std::string &name) {
    const bool wide = name.find("E5M2") != std::string::npos;
    const bool fnuz = name.find("FNUZ") != std::string::npos;
    const int mantissaBits = wide ? 2 : 3;
    const int bias = (wide ? 15 : 7) + fnuz;
    for (int code = 0; code < 256; ++code) {
      int magnitude = code & 0x7f, exponent = magnitude >> mantissaBits;
      int mantissa = magnitude & ((1 << mantissaBits) - 1);
      float value = exponent == 0 ? std::ldexp(float(mantissa), 1 - bias - mantissaBits)
                                  : std::ldexp(float(mantissa + (1 << mantissaBits)),
                                               exponent - bias - mantissaBits);
      bool finite = fnuz ? code != 0x80 : wide ? exponent != 31 : magnitude != 0x7f;
      values.push_back(!finite ? NAN : code < 128 ? value : -value);
    }
  }

  float decode(uint8_t code) const { return values[code]; }

  /// The nearest code, of two the even one; beyond the largest that one.
  uint8_t encode(float value) const {
    int best = 0;
    for (int magnitude = 1; magnitude < 128; ++magnitude) {
      if (!std::isfinite(values[magnitude]))
        continue;
      double distance = std::fabs(double(values[magnitude]) - std::fabs(double(value)));
      double least = std::fabs(double(values[best]) - std::fabs(double(value)));
      if (distance < least || (distance == least && magnitude % 2 == 0))
        best = magnitude;
    }
    // fnuz formats have no negative zero.
    bool negative = std::signbit(value) && (best != 0 || !std::isnan(values[0x80]));
    return uint8_t(best + (negative ? 128 : 0));
  }

private:
  std::vector<float> values;
};

/// `count` bfloat16 values below `limit` in magnitude.
inline std::vector<uint16_t> randomRows(std::mt19937 &random, size_t count, float limit) {
  std::uniform_real_distribution<float> uniform(-limit, limit);
  std::vector<uint16_t> rows(count);
  for (uint16_t &value : rows)
    value = toBfloat(uniform(random));
  return rows;
}

#endif // KVQ_EXAMPLES_NUMBERS_H
