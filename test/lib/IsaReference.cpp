//===- IsaReference.cpp - GPU instructions by their manuals ---------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What emulated kernels call in place of instructions, written from the manuals
// and from nothing of kvq, as plainly as can be: FP8 numbers are looked up among
// all that the format has.
//
//===----------------------------------------------------------------------===//

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace {

float asFloat(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

uint32_t asBits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

/// An FP8 format, with the value of each code without sign.
class Format {
public:
  /// `largest` is the code of the largest finite value, `nan` a code of NaN,
  /// `infinity` that of infinity, or 0 where there is none.
  Format(int mantissaBits, int bias, unsigned largest, unsigned nan, unsigned infinity, bool fnuz)
      : largest(largest), nan(nan), infinity(infinity), fnuz(fnuz) {
    for (unsigned code = 0; code != values.size(); ++code) {
      int exponent = int(code >> mantissaBits);
      int mantissa = int(code & ((1u << mantissaBits) - 1));
      values[code] = exponent == 0 ? std::ldexp(mantissa, 1 - bias - mantissaBits)
                                   : std::ldexp(mantissa + (1 << mantissaBits),
                                                exponent - bias - mantissaBits);
    }
  }

  float decode(unsigned code) const {
    unsigned magnitude = code & 0x7f;
    bool isNegative = (code & 0x80) != 0;
    if (fnuz ? code == 0x80 : magnitude > largest && magnitude != infinity)
      return std::numeric_limits<float>::quiet_NaN();
    double value = infinity != 0 && magnitude == infinity ? std::numeric_limits<double>::infinity()
                                                          : values[magnitude];
    return float(isNegative ? -value : value);
  }

  /// Round to nearest even. Beyond the largest value: that value if `saturates`,
  /// else infinity if there is one, else NaN.
  unsigned encode(float x, bool saturates) const {
    unsigned sign = std::signbit(x) ? 0x80 : 0;
    if (std::isnan(x))
      return nan;
    double magnitude = std::fabs(double(x));
    auto end = values.begin() + largest + 1;
    unsigned below =
        unsigned(std::upper_bound(values.begin(), end, magnitude) - values.begin()) - 1;
    // What lies beyond the largest value is as far away as the one before it.
    double step =
        values[below == largest ? below : below + 1] - values[below == largest ? below - 1 : below];
    double rest = magnitude - values[below];
    bool goesUp = rest > step / 2 || (rest == step / 2 && below % 2 != 0);
    unsigned code = below + (goesUp ? 1 : 0);
    if (code > largest) {
      if (!saturates)
        return infinity != 0 ? infinity | sign : nan | (fnuz ? 0 : sign);
      code = largest;
    }
    if (fnuz && code == 0)
      return 0;
    return code | sign;
  }

private:
  std::array<double, 128> values;
  unsigned largest, nan, infinity;
  bool fnuz;
};

const Format e4m3fn(3, 7, 0x7e, 0x7f, 0, false);
const Format e5m2(2, 15, 0x7b, 0x7f, 0x7c, false);
const Format e4m3fnuz(3, 8, 0x7f, 0x80, 0, true);
const Format e5m2fnuz(2, 16, 0x7f, 0x80, 0, true);

/// cvt.rn.satfinite.{e4m3x2,e5m2x2}.f32 d, a, b: "the converted value of a is
/// stored in the upper half, that of b in the lower half".
uint64_t toPair(const Format &format, uint32_t a, uint32_t b) {
  return format.encode(asFloat(a), true) << 8 | format.encode(asFloat(b), true);
}

/// A float16's bits of a value that float16 has.
uint32_t toHalf(float value) {
  uint32_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value))
    return 0x7fff;
  if (std::isinf(value))
    return sign | 0x7c00;
  int exponent;
  double fraction = std::frexp(std::fabs(value), &exponent);
  if (fraction == 0)
    return sign;
  if (exponent < -13)
    return sign | uint32_t(std::ldexp(std::fabs(value), 24));
  return sign | uint32_t((exponent + 14) * 1024 + (std::ldexp(fraction, 11) - 1024));
}

/// cvt.rn.f16x2.{e4m3x2,e5m2x2}: each byte to the half at its place.
uint64_t toHalves(const Format &format, uint32_t codes) {
  return toHalf(format.decode(codes >> 8 & 0xff)) << 16 | toHalf(format.decode(codes & 0xff));
}

/// A 16-bit float type.
struct Half {
  int fractionBits, bias;

  double decode(uint32_t bits) const {
    int exponent = int(bits >> fractionBits & uint32_t(2 * bias + 1));
    double fraction = bits & ((1u << fractionBits) - 1);
    double value = exponent == 0
                       ? std::ldexp(fraction, 1 - bias - fractionBits)
                       : std::ldexp(fraction + (1 << fractionBits), exponent - bias - fractionBits);
    if (exponent == 2 * bias + 1)
      value = fraction == 0 ? std::numeric_limits<double>::infinity()
                            : std::numeric_limits<double>::quiet_NaN();
    return bits & 0x8000 ? -value : value;
  }

  /// To nearest even, or toward zero.
  uint32_t encode(double value, bool towardZero = false) const {
    uint32_t sign = std::signbit(value) ? 0x8000 : 0;
    uint32_t infinity = uint32_t(2 * bias + 1) << fractionBits;
    if (std::isnan(value))
      return 0x7fff;
    if (std::isinf(value))
      return sign | infinity;
    if (value == 0)
      return sign;
    int exponent;
    std::frexp(value, &exponent);
    int step = std::max(exponent - 1, 1 - bias) - fractionBits;
    double steps = std::ldexp(std::fabs(value), -step);
    steps = towardZero ? std::floor(steps) : std::nearbyint(steps);
    // The steps of the smallest exponent that has them; one more is one more code.
    double code = steps + std::ldexp(double(step + fractionBits + bias - 1), fractionBits);
    uint32_t largest = infinity - 1;
    return sign | (code > largest ? (towardZero ? largest : infinity) : uint32_t(code));
  }
};

const Half f16{10, 15}, bf16{7, 127};

/// cvt.rn.satfinite.{e4m3x2,e5m2x2}.f16x2: each half to the byte at its place.
uint64_t fromHalves(const Format &format, uint32_t halves) {
  return format.encode(float(f16.decode(halves >> 16)), true) << 8 |
         format.encode(float(f16.decode(halves & 0xffff)), true);
}

/// v_cvt_scalef32_pk_{f16,bf16}_{fp8,bf8}: the two bytes of the half of S0 that
/// op_sel chooses, times 2^exponent.
uint64_t toScaledHalves(const Format &format, const Half &half, uint32_t s0, int exponent,
                        uint32_t select) {
  uint32_t codes = select != 0 ? s0 >> 16 : s0;
  auto convert = [&](uint32_t code) {
    return half.encode(std::ldexp(double(format.decode(code & 0xff)), exponent));
  };
  return convert(codes >> 8) << 16 | convert(codes);
}

/// v_cvt_scalef32_pk_{fp8,bf8}_f16 with FP16_OVFL clear, divided by 2^exponent.
uint64_t fromScaledHalves(const Format &format, uint32_t halves, int exponent) {
  auto convert = [&](uint32_t bits) {
    return format.encode(float(std::ldexp(f16.decode(bits & 0xffff), -exponent)), false);
  };
  return convert(halves >> 16) << 8 | convert(halves);
}

/// The exponent of a float32 or of a scale of eight bits.
int exponentOf(uint32_t bits) { return int(bits >> 23 & 0xff) - 127; }
int biasedExponent(uint32_t bits) { return int(bits & 0xff) - 127; }

/// v_cvt_pk_{fp8,bf8}_f32 with FP16_OVFL clear: S0 to the low byte, S1 to the
/// high byte of the half of D that op_sel chooses; the other half is kept.
uint64_t toWord(const Format &format, uint32_t s0, uint32_t s1, uint32_t old, uint32_t select) {
  uint32_t pair = format.encode(asFloat(s1), false) << 8 | format.encode(asFloat(s0), false);
  return select != 0 ? (old & 0xffff) | pair << 16 : (old & 0xffff0000) | pair;
}

/// v_cvt_pk_f32_{fp8,bf8}: the two bytes of the half of S0 that op_sel chooses.
uint64_t toFloats(const Format &format, uint32_t s0, uint32_t select) {
  uint32_t half = select != 0 ? s0 >> 16 : s0;
  uint64_t high = asBits(format.decode(half >> 8 & 0xff));
  return high << 32 | asBits(format.decode(half & 0xff));
}

/// v_min_f32 and v_max_f32: of one NaN and a number the number.
float minimum(float a, float b) {
  return std::isnan(a) || (!std::isnan(b) && (b < a || (b == a && std::signbit(b)))) ? b : a;
}
float maximum(float a, float b) {
  return std::isnan(a) || (!std::isnan(b) && (b > a || (b == a && std::signbit(a)))) ? b : a;
}

} // namespace

#define KVQ_FUNCTION(name)                                                                         \
  extern "C" __attribute__((visibility("default"))) uint64_t kvq_isa_##name(                       \
      [[maybe_unused]] uint32_t a, [[maybe_unused]] uint32_t b, [[maybe_unused]] uint32_t c,       \
      [[maybe_unused]] uint32_t select)

KVQ_FUNCTION(cvt_e4m3x2_f32) { return toPair(e4m3fn, a, b); }
KVQ_FUNCTION(cvt_e5m2x2_f32) { return toPair(e5m2, a, b); }
KVQ_FUNCTION(cvt_e4m3x2_f16x2) { return fromHalves(e4m3fn, a); }
KVQ_FUNCTION(cvt_e5m2x2_f16x2) { return fromHalves(e5m2, a); }
KVQ_FUNCTION(cvt_f16x2_e4m3x2) { return toHalves(e4m3fn, a); }
KVQ_FUNCTION(cvt_f16x2_e5m2x2) { return toHalves(e5m2, a); }

KVQ_FUNCTION(v_cvt_pk_fp8_f32_fnuz) { return toWord(e4m3fnuz, a, b, c, select); }
KVQ_FUNCTION(v_cvt_pk_bf8_f32_fnuz) { return toWord(e5m2fnuz, a, b, c, select); }
KVQ_FUNCTION(v_cvt_pk_f32_fp8_fnuz) { return toFloats(e4m3fnuz, a, select); }
KVQ_FUNCTION(v_cvt_pk_f32_bf8_fnuz) { return toFloats(e5m2fnuz, a, select); }

KVQ_FUNCTION(v_cvt_pk_fp8_f32_ocp) { return toWord(e4m3fn, a, b, c, select); }
KVQ_FUNCTION(v_cvt_pk_bf8_f32_ocp) { return toWord(e5m2, a, b, c, select); }
KVQ_FUNCTION(v_cvt_pk_f32_fp8_ocp) { return toFloats(e4m3fn, a, select); }
KVQ_FUNCTION(v_cvt_pk_f32_bf8_ocp) { return toFloats(e5m2, a, select); }

/// The manual's pseudocode: any NaN makes it v_min3_f32.
KVQ_FUNCTION(v_med3_f32) {
  float s0 = asFloat(a), s1 = asFloat(b), s2 = asFloat(c);
  if (std::isnan(s0) || std::isnan(s1) || std::isnan(s2))
    return asBits(minimum(minimum(s0, s1), s2));
  float largest = maximum(maximum(s0, s1), s2);
  if (largest == s0)
    return asBits(maximum(s1, s2));
  if (largest == s1)
    return asBits(maximum(s0, s2));
  return asBits(maximum(s0, s1));
}

KVQ_FUNCTION(v_cvt_pkrtz_f16_f32) {
  return f16.encode(asFloat(b), true) << 16 | f16.encode(asFloat(a), true);
}

KVQ_FUNCTION(v_cvt_scalef32_pk_f16_fp8) {
  return toScaledHalves(e4m3fn, f16, a, exponentOf(b), select);
}
KVQ_FUNCTION(v_cvt_scalef32_pk_f16_bf8) {
  return toScaledHalves(e5m2, f16, a, exponentOf(b), select);
}
KVQ_FUNCTION(v_cvt_scalef32_pk_bf16_fp8) {
  return toScaledHalves(e4m3fn, bf16, a, exponentOf(b), select);
}
KVQ_FUNCTION(v_cvt_scalef32_pk_bf16_bf8) {
  return toScaledHalves(e5m2, bf16, a, exponentOf(b), select);
}
KVQ_FUNCTION(v_cvt_scalef32_pk_fp8_f16) {
  uint64_t pair = fromScaledHalves(e4m3fn, b, exponentOf(c));
  return select != 0 ? (a & 0xffff) | pair << 16 : (a & 0xffff0000) | pair;
}
KVQ_FUNCTION(v_cvt_scalef32_pk_bf8_f16) {
  uint64_t pair = fromScaledHalves(e5m2, b, exponentOf(c));
  return select != 0 ? (a & 0xffff) | pair << 16 : (a & 0xffff0000) | pair;
}
KVQ_FUNCTION(v_cvt_scale_pk8_f16_fp8) {
  return toScaledHalves(e4m3fn, f16, a, biasedExponent(b), select);
}
KVQ_FUNCTION(v_cvt_scale_pk8_f16_bf8) {
  return toScaledHalves(e5m2, f16, a, biasedExponent(b), select);
}
KVQ_FUNCTION(v_cvt_scale_pk8_bf16_fp8) {
  return toScaledHalves(e4m3fn, bf16, a, biasedExponent(b), select);
}
KVQ_FUNCTION(v_cvt_scale_pk8_bf16_bf8) {
  return toScaledHalves(e5m2, bf16, a, biasedExponent(b), select);
}
KVQ_FUNCTION(v_cvt_scalef32_pk8_fp8_f16) { return fromScaledHalves(e4m3fn, a, exponentOf(b)); }
KVQ_FUNCTION(v_cvt_scalef32_pk8_bf8_f16) { return fromScaledHalves(e5m2, a, exponentOf(b)); }

KVQ_FUNCTION(mul_bf16) { return bf16.encode(bf16.decode(a) * bf16.decode(b)); }

KVQ_FUNCTION(cvt_rn_bf16_f32) {
  if (std::isnan(asFloat(a)))
    return 0x7fff;
  uint32_t kept = a >> 16, rest = a & 0xffff;
  bool goesUp = rest > 0x8000 || (rest == 0x8000 && kept % 2 != 0);
  return kept + (goesUp ? 1 : 0);
}

/// The functions, in the order of IsaReference.def.
extern "C" __attribute__((visibility("default"))) const void *const *kvq_isa_table() {
  static const void *const table[] = {
#define KVQ_ISA(name) reinterpret_cast<const void *>(&kvq_isa_##name),
#include "IsaReference.def"
  };
  return table;
}
