//===- Fp8Soft.cpp - FP8 conversions in integer code ----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fp8Lowering.h"
#include "VectorPieces.h"
#include "kvq/Numerics/Candidates.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/bit.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace kvq;

namespace {

/// Float32's fraction bits and exponent bias.
constexpr int kFractionBits = 23, kBias = 127;

/// Vector code with constants of one length.
class VectorBuilder {
public:
  VectorBuilder(ImplicitLocOpBuilder &builder, int64_t count) : builder(builder), count(count) {}

  VectorType type(Type element) { return VectorType::get({count}, element); }
  VectorType integer(unsigned width) { return type(builder.getIntegerType(width)); }
  VectorType f32() { return type(builder.getF32Type()); }

  Value constant(uint32_t value, unsigned width = 32) {
    auto element = builder.getIntegerAttr(builder.getIntegerType(width),
                                          llvm::APInt(width, value, false, true));
    return arith::ConstantOp::create(builder,
                                     DenseElementsAttr::get(integer(width), element.getValue()));
  }
  Value constant(float value) {
    return arith::ConstantOp::create(builder, DenseElementsAttr::get(f32(), llvm::APFloat(value)));
  }
  Value select(arith::CmpIPredicate predicate, Value a, Value b, Value yes, Value no) {
    Value holds = arith::CmpIOp::create(builder, predicate, a, b);
    return arith::SelectOp::create(builder, holds, yes, no);
  }
  template <typename Op> Value op(Value a, Value b) { return Op::create(builder, a, b); }
  template <typename Op> Value cast(Type to, Value value) { return Op::create(builder, to, value); }

private:
  ImplicitLocOpBuilder &builder;
  int64_t count;
};

/// The significand bits of a 16-bit float type.
unsigned getFractionBits(Type type) { return type.isF16() ? 10 : 7; }

class Fp8Soft : public Fp8Lowering {
public:
  explicit Fp8Soft(bool isHost) : isHost(isHost) {}

  Value encode(ImplicitLocOpBuilder &builder, Value values, Fp8Format format) const override;

  bool decodes(Fp8Format format, Type type, float factor) const override {
    if (type.isF32())
      return true;
    SourceType in = type.isF16() ? SourceType::F16 : SourceType::BF16;
    return !isHost && !getInfo(format).isFnuz() &&
           std::isfinite(std::ldexp(factor, getDecodeGap(format, in)));
  }
  Value decode(ImplicitLocOpBuilder &builder, Value codes, Fp8Format format, Type type,
               float factor) const override;

private:
  static Value decodePacked(ImplicitLocOpBuilder &builder, Value codes, const Fp8Info &info,
                            FloatType type);
  static Value decodeThroughHalf(VectorBuilder &vec, ImplicitLocOpBuilder &builder, Value codes,
                                 const Fp8Info &info, float factor);
  static Value decodeThroughBits(VectorBuilder &vec, ImplicitLocOpBuilder &builder, Value codes,
                                 const Fp8Info &info);

  bool isHost;
};

} // namespace

Value Fp8Soft::encode(ImplicitLocOpBuilder &builder, Value values, Fp8Format format) const {
  const Fp8Info &info = getInfo(format);
  VectorBuilder vec(builder, llvm::cast<VectorType>(values.getType()).getNumElements());
  using namespace arith;
  VectorType i32 = vec.integer(32);
  int dropped = kFractionBits - int(info.mantissaBits);

  Value bits = vec.cast<BitcastOp>(i32, values);
  Value magnitude = vec.op<AndIOp>(bits, vec.constant(0x7fffffffu));
  Value clamped =
      vec.op<MinUIOp>(magnitude, vec.constant(llvm::bit_cast<uint32_t>(info.maxFinite)));

  // A power of two whose last fraction bit is the step of the result rounds to
  // nearest even in the addition itself, which leaves the number of steps in the
  // sum's last bits: the mantissa with its leading bit. The step follows the
  // exponent, but is no smaller than that of subnormal results.
  uint32_t smallestNormal = llvm::bit_cast<uint32_t>(std::ldexp(1.0f, 1 - info.bias));
  Value exponent = vec.op<MaxUIOp>(vec.op<AndIOp>(clamped, vec.constant(0x7f800000u)),
                                   vec.constant(smallestNormal));
  // What the result's exponent differs by from float32's is added along; it is
  // even, so that ties stay ties.
  uint32_t rebias = -(smallestNormal >> dropped) & 0xff;
  Value anchor =
      vec.op<AddIOp>(exponent, vec.constant((uint32_t(dropped) << kFractionBits) + rebias));
  Value sum = vec.op<AddFOp>(vec.cast<BitcastOp>(vec.f32(), clamped),
                             vec.cast<BitcastOp>(vec.f32(), anchor));
  // From here on only the last 8 bits count.
  Value code = vec.op<AddIOp>(vec.cast<BitcastOp>(i32, sum),
                              vec.op<ShRUIOp>(exponent, vec.constant(uint32_t(dropped))));

  Value sign = vec.op<AndIOp>(vec.op<ShRUIOp>(bits, vec.constant(24u)), vec.constant(0x80u));
  // The negative of a code is below 0x80 only for 0.
  if (!info.hasNegativeZero)
    sign = vec.op<AndIOp>(sign, vec.op<SubIOp>(vec.constant(0u), code));
  Value isSigned = vec.op<OrIOp>(code, sign);
  Value isNaN = CmpFOp::create(builder, CmpFPredicate::UNO, values, values);
  Value result = SelectOp::create(builder, isNaN, vec.constant(uint32_t(info.nanCode)), isSigned);
  return vec.cast<TruncIOp>(vec.integer(8), result);
}

/// `values` times two factors, in one multiplication where that is the same.
static Value multiplyTwice(ImplicitLocOpBuilder &builder, Value values, float power, float factor) {
  if (std::isfinite(power * factor))
    return power * factor == 1.0f ? values : multiply(builder, values, power * factor);
  return multiply(builder, multiply(builder, values, power), factor);
}

/// Two codes in a 32-bit word at a time. Moved to the place of the 16-bit type's
/// bits a code is a number of that type with the wrong bias, subnormal ones
/// included, which the factor sets right. What is beyond the largest finite code
/// is found by a carry into the bit before the format's exponent, and gets the
/// type's exponent of infinities and NaNs.
Value Fp8Soft::decodePacked(ImplicitLocOpBuilder &builder, Value codes, const Fp8Info &info,
                            FloatType type) {
  using namespace arith;
  const int64_t count = getLength(codes), padded = llvm::alignTo(count, 2);
  const unsigned toFraction = getFractionBits(type) - info.mantissaBits, down = 8 - toFraction;
  auto i32 = builder.getI32Type();
  auto both = [&](uint32_t half) { return splat(builder, padded / 2, i32, half * 0x10001u); };
  auto number = [&](uint32_t value) { return splat(builder, padded / 2, i32, value); };

  // Each code in the upper byte of a half.
  Value bytes = padTo(builder, codes, 2);
  Value zeros = splat(builder, padded, builder.getI8Type(), 0);
  SmallVector<int64_t> places;
  for (int64_t i = 0; i != padded; ++i)
    places.append({padded + i, i});
  Value upper = castTo(builder, vector::ShuffleOp::create(builder, bytes, zeros, places), i32);
  if (down == 0)
    return slice(builder, castTo(builder, upper, type), 0, count);

  Value magnitude = AndIOp::create(builder, ShRUIOp::create(builder, upper, number(down)),
                                   both(0x7fu << toFraction));
  const uint32_t carry = 0x80u << toFraction;
  const uint32_t special = uint32_t(info.maxFiniteCode + 1) << toFraction;
  Value sum = AddIOp::create(builder, magnitude, both(carry - special));
  Value isSpecial = AndIOp::create(builder, sum, both(carry));
  Value exponent =
      down == 1 ? isSpecial : MulIOp::create(builder, isSpecial, number((1u << down) - 1));
  Value sign = AndIOp::create(builder, upper, both(0x8000));
  Value word = OrIOp::create(builder, OrIOp::create(builder, magnitude, exponent), sign);
  return slice(builder, castTo(builder, word, type), 0, count);
}

/// A code without its sign is, moved to float16's place, a float16 with the
/// wrong bias, subnormal numbers included; the product with a power of two sets
/// it right and is exact. It holds as long as the format's exponent has fewer
/// bits than float16's, or the format is float16's upper byte.
Value Fp8Soft::decodeThroughHalf(VectorBuilder &vec, ImplicitLocOpBuilder &builder, Value codes,
                                 const Fp8Info &info, float factor) {
  using namespace arith;
  constexpr int halfFractionBits = 10, halfBias = 15;
  VectorType i16 = vec.integer(16), f16 = vec.type(builder.getF16Type());
  int shift = halfFractionBits - int(info.mantissaBits);
  Value wide = vec.cast<ExtUIOp>(i16, codes);
  Value halves;
  if (shift == 8) {
    halves = vec.op<ShLIOp>(wide, vec.constant(8u, 16));
  } else {
    Value magnitude = vec.op<AndIOp>(wide, vec.constant(0x7fu, 16));
    Value sign = vec.op<AndIOp>(wide, vec.constant(0x80u, 16));
    halves = vec.op<OrIOp>(vec.op<ShLIOp>(magnitude, vec.constant(uint32_t(shift), 16)),
                           vec.op<ShLIOp>(sign, vec.constant(8u, 16)));
  }
  Value values = vec.cast<ExtFOp>(vec.f32(), vec.cast<BitcastOp>(f16, halves));
  values = multiplyTwice(builder, values, std::ldexp(1.0f, halfBias - info.bias), factor);
  if (info.hasInfinity)
    return values;
  Value isNaN;
  if (info.isFnuz()) {
    isNaN = CmpIOp::create(builder, CmpIPredicate::eq, codes, vec.constant(0x80u, 8));
  } else {
    Value magnitude = vec.op<AndIOp>(codes, vec.constant(0x7fu, 8));
    isNaN = CmpIOp::create(builder, CmpIPredicate::eq, magnitude, vec.constant(0x7fu, 8));
  }
  return SelectOp::create(builder, isNaN, vec.constant(std::numeric_limits<float>::quiet_NaN()),
                          values);
}

/// As integers; subnormal codes are normal float32 numbers less the smallest
/// normal, so that no float32 subnormal is ever made (a host may flush them).
Value Fp8Soft::decodeThroughBits(VectorBuilder &vec, ImplicitLocOpBuilder &builder, Value codes,
                                 const Fp8Info &info) {
  using namespace arith;
  VectorType i32 = vec.integer(32);
  int shift = kFractionBits - int(info.mantissaBits);
  Value wide = vec.cast<ExtUIOp>(i32, codes);
  Value magnitude = vec.op<AndIOp>(wide, vec.constant(0x7fu));
  Value placed = vec.op<ShLIOp>(magnitude, vec.constant(uint32_t(shift)));
  Value normal = vec.op<AddIOp>(placed, vec.constant(uint32_t(kBias - info.bias) << kFractionBits));
  float smallestNormal = std::ldexp(1.0f, 1 - info.bias);
  Value lifted = vec.op<AddIOp>(placed, vec.constant(llvm::bit_cast<uint32_t>(smallestNormal)));
  Value subnormal =
      vec.op<SubFOp>(vec.cast<BitcastOp>(vec.f32(), lifted), vec.constant(smallestNormal));
  Value isSubnormal = CmpIOp::create(builder, CmpIPredicate::ult, magnitude,
                                     vec.constant(uint32_t(1) << info.mantissaBits));
  Value unsignedBits =
      SelectOp::create(builder, isSubnormal, vec.cast<BitcastOp>(i32, subnormal), normal);
  Value sign = vec.op<ShLIOp>(vec.op<AndIOp>(wide, vec.constant(0x80u)), vec.constant(24u));
  Value values = vec.cast<BitcastOp>(vec.f32(), vec.op<OrIOp>(unsignedBits, sign));
  Value isNaN = CmpIOp::create(builder, CmpIPredicate::eq, codes, vec.constant(0x80u, 8));
  return SelectOp::create(builder, isNaN, vec.constant(std::numeric_limits<float>::quiet_NaN()),
                          values);
}

Value Fp8Soft::decode(ImplicitLocOpBuilder &builder, Value codes, Fp8Format format, Type type,
                      float factor) const {
  const Fp8Info &info = getInfo(format);
  VectorBuilder vec(builder, getLength(codes));
  if (!type.isF32()) {
    SourceType in = type.isF16() ? SourceType::F16 : SourceType::BF16;
    Value values = decodePacked(builder, codes, info, llvm::cast<FloatType>(type));
    float rebiased = std::ldexp(factor, getDecodeGap(format, in));
    return rebiased == 1.0f ? values : multiply(builder, values, rebiased);
  }
  // E5M2FNUZ uses the exponent that float16 keeps for infinities.
  if (info.exponentBits == 5 && info.isFnuz()) {
    Value values = decodeThroughBits(vec, builder, codes, info);
    return factor == 1.0f ? values : multiply(builder, values, factor);
  }
  if (isHost || info.isFnuz())
    return decodeThroughHalf(vec, builder, codes, info, factor);
  Value halves = decodePacked(builder, codes, info, builder.getF16Type());
  float power = std::ldexp(1.0f, getDecodeGap(format, SourceType::F16));
  return multiplyTwice(builder, vec.cast<arith::ExtFOp>(vec.f32(), halves), power, factor);
}

std::unique_ptr<Fp8Lowering> kvq::createSoftFp8Lowering(bool isHost) {
  return std::make_unique<Fp8Soft>(isHost);
}
