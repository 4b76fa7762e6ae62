//===- Reference.cpp - What store and load mean, value by value -----------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Numerics/Reference.h"
#include "llvm/ADT/bit.h"
#include <algorithm>

using llvm::bit_cast;

namespace kvq {

/// Rounds the magnitude `bits` of a float32 to a smaller float with `mantissa`
/// mantissa bits and the exponent bias `bias`, to nearest even. Magnitudes beyond
/// the target's range give codes that go on counting beyond it.
static inline uint32_t roundMagnitude(uint32_t bits, unsigned mantissa, int bias) {
  // Normal results: carry the dropped half into the kept bits, ties to even.
  unsigned dropped = 23 - mantissa;
  uint32_t carry = (1u << (dropped - 1)) - 1 + ((bits >> dropped) & 1);
  uint32_t normal = ((bits + carry) >> dropped) - (uint32_t(127 - bias) << mantissa);
  // Subnormal results are multiples of the smallest subnormal: adding the power
  // of two whose unit in the last place is that number rounds to one.
  uint32_t anchor = uint32_t(127 + 24 - bias - int(mantissa)) << 23;
  uint32_t subnormal = bit_cast<uint32_t>(bit_cast<float>(bits) + bit_cast<float>(anchor)) - anchor;
  return bits < (uint32_t(128 - bias) << 23) ? subnormal : normal;
}

static constexpr uint32_t infinityBits = 0x7F800000;

static inline uint8_t encodeAs(const Fp8Info &info, float value) {
  uint32_t bits = bit_cast<uint32_t>(value);
  uint32_t magnitude = bits & 0x7FFFFFFF;
  uint32_t code = std::min<uint32_t>(roundMagnitude(magnitude, info.mantissaBits, info.bias),
                                     info.maxFiniteCode);
  uint32_t sign = (bits >> 24) & 0x80;
  uint32_t signedCode = code != 0 || info.hasNegativeZero ? code | sign : 0;
  return magnitude > infinityBits ? info.nanCode : signedCode;
}

uint8_t encode(Fp8Format format, float value) { return encodeAs(getInfo(format), value); }

void encode(Fp8Format format, llvm::ArrayRef<float> values, llvm::MutableArrayRef<uint8_t> codes) {
  const Fp8Info info = getInfo(format);
  const float *in = values.data();
  uint8_t *out = codes.data();
  for (size_t i = 0, n = values.size(); i != n; ++i)
    out[i] = encodeAs(info, in[i]);
}

unsigned getBitWidth(SourceType type) { return type == SourceType::F32 ? 32 : 16; }

static float decodeF16(uint32_t bits) {
  uint32_t sign = (bits & 0x8000) << 16;
  uint32_t magnitude = (bits & 0x7FFF) << 13;
  if (magnitude >= 0x0F800000) // infinities and NaNs
    return bit_cast<float>(sign | infinityBits | magnitude);
  // Read with float32's bias the value is 2^-112 times itself, subnormals too.
  return bit_cast<float>(sign | bit_cast<uint32_t>(bit_cast<float>(magnitude) * 0x1p112f));
}

float decode(SourceType type, uint32_t bits) {
  switch (type) {
  case SourceType::BF16:
    return bit_cast<float>(bits << 16);
  case SourceType::F16:
    return decodeF16(bits);
  case SourceType::F32:
    break;
  }
  return bit_cast<float>(bits);
}

uint32_t encode(SourceType type, float value) {
  uint32_t bits = bit_cast<uint32_t>(value);
  uint32_t magnitude = bits & 0x7FFFFFFF;
  bool isNaN = magnitude > infinityBits;
  uint32_t sign = (bits >> 16) & 0x8000;
  switch (type) {
  case SourceType::BF16:
    // The same exponents as float32, subnormals too: only bits are dropped.
    return isNaN ? 0x7FC0 : sign | ((magnitude + 0x7FFF + ((magnitude >> 16) & 1)) >> 16);
  case SourceType::F16:
    return isNaN ? 0x7E00 : sign | std::min<uint32_t>(roundMagnitude(magnitude, 10, 15), 0x7C00);
  case SourceType::F32:
    break;
  }
  return isNaN ? 0x7FC00000 : bits;
}

uint8_t storeReference(SourceType source, Fp8Format format, float scale, uint32_t bits) {
  return encode(format, decode(source, bits) / scale);
}

uint32_t loadReference(Fp8Format format, SourceType source, float scale, uint8_t code) {
  return encode(source, decode(format, code) * scale);
}

} // namespace kvq
