//===- Float32Text.cpp - float32 to text and back -------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Support/Float32Text.h"
#include "llvm/ADT/StringExtras.h"
#include <charconv>
#include <limits>

using namespace llvm;

/// Whether `text` is digits, at most one point among them, then perhaps an
/// exponent; no sign.
static bool isDecimal(StringRef text) {
  auto [mantissa, exponent] = text.split('e');
  if (mantissa.size() == text.size())
    std::tie(mantissa, exponent) = text.split('E');
  auto [whole, fraction] = mantissa.split('.');
  if (whole.empty() && fraction.empty())
    return false;
  if (!all_of(whole, isDigit) || !all_of(fraction, isDigit))
    return false;
  if (mantissa.size() == text.size())
    return true;
  if (!exponent.consume_front("-"))
    exponent.consume_front("+");
  return !exponent.empty() && all_of(exponent, isDigit);
}

/// Whether a decimal out of float32's range is too large rather than too small.
static bool isLarge(StringRef text) {
  auto [mantissa, exponent] = text.split(text.contains('e') ? 'e' : 'E');
  bool negative = exponent.consume_front("-");
  exponent.consume_front("+");
  // Saturates far beyond the length of any text that fits memory.
  int64_t scale = 0;
  for (char digit : exponent)
    scale = std::min<int64_t>(scale * 10 + (digit - '0'), int64_t(1) << 56);
  auto [whole, fraction] = mantissa.split('.');
  whole = whole.ltrim('0');
  int64_t magnitude = whole.size();
  if (whole.empty())
    magnitude = -int64_t(fraction.size() - fraction.ltrim('0').size());
  return magnitude + (negative ? -scale : scale) > 0;
}

std::optional<float> kvq::parseFloat32(StringRef text) {
  if (text == "nan")
    return std::numeric_limits<float>::quiet_NaN();
  StringRef magnitude = text;
  float sign = magnitude.consume_front("-") ? -1.0f : 1.0f;
  if (magnitude == "inf")
    return sign * std::numeric_limits<float>::infinity();
  if (!isDecimal(magnitude))
    return std::nullopt;
  float value = 0;
  auto result = std::from_chars(magnitude.begin(), magnitude.end(), value);
  if (result.ec == std::errc::result_out_of_range)
    value = isLarge(magnitude) ? std::numeric_limits<float>::infinity() : 0.0f;
  else if (result.ec != std::errc() || result.ptr != magnitude.end())
    return std::nullopt;
  return sign * value;
}
