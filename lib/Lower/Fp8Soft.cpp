//===- Fp8Soft.cpp - FP8 conversions in integer code ----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fp8Lowering.h"
#include "kvq/Numerics/Formats.h"
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

class Fp8Soft : public Fp8Lowering {
public:
  Value encode(ImplicitLocOpBuilder &builder, Value values, Fp8Format format) const override;
  Value decode(ImplicitLocOpBuilder &builder, Value codes, Fp8Format format) const override;

private:
  static Value decodeThroughHalf(VectorBuilder &vec, ImplicitLocOpBuilder &builder, Value codes,
                                 const Fp8Info &info);
  static Value decodeThroughBits(VectorBuilder &vec, ImplicitLocOpBuilder &builder, Value codes,
                                 const Fp8Info &info);
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

/// A code without its sign is, moved to float16's place, a float16 with the
/// wrong bias, subnormal numbers included; the product with a power of two sets
/// it right and is exact. It holds as long as the format's exponent has fewer
/// bits than float16's, or the format is float16's upper byte.
Value Fp8Soft::decodeThroughHalf(VectorBuilder &vec, ImplicitLocOpBuilder &builder, Value codes,
                                 const Fp8Info &info) {
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
  if (info.bias != halfBias)
    values = vec.op<MulFOp>(values, vec.constant(std::ldexp(1.0f, halfBias - info.bias)));
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

Value Fp8Soft::decode(ImplicitLocOpBuilder &builder, Value codes, Fp8Format format) const {
  const Fp8Info &info = getInfo(format);
  VectorBuilder vec(builder, llvm::cast<VectorType>(codes.getType()).getNumElements());
  // E5M2FNUZ uses the exponent that float16 keeps for infinities.
  if (info.exponentBits == 5 && !info.hasInfinity)
    return decodeThroughBits(vec, builder, codes, info);
  return decodeThroughHalf(vec, builder, codes, info);
}

std::unique_ptr<Fp8Lowering> kvq::createSoftFp8Lowering() { return std::make_unique<Fp8Soft>(); }
