//===- Fp8Rocdl.cpp - FP8 conversions of AMD chips ------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fp8Lowering.h"
#include "VectorPieces.h"
#include "kvq/Numerics/Formats.h"
#include "mlir/Dialect/LLVMIR/ROCDLDialect.h"
#include <cmath>

using namespace mlir;
using namespace kvq;

/// Whether a format is the hardware's fp8 (E4M3); the other is its bf8 (E5M2).
static bool isE4M3(Fp8Format format) {
  return format == Fp8Format::E4M3FN || format == Fp8Format::E4M3FNUZ;
}

namespace {

/// Codes per 32-bit register, of which an instruction converts one half.
constexpr int64_t kPerWord = 4;

class Fp8Rocdl : public Fp8Lowering {
public:
  explicit Fp8Rocdl(const ChipInfo &chip) : chip(chip) {}

  bool encodes(Fp8Format format, Type type) const override {
    return type.isF32() || (type.isF16() && chip.packedConversions != PackedConversions::None);
  }

  Value encode(ImplicitLocOpBuilder &builder, Value values, Fp8Format format) const override {
    int64_t count = getLength(values);
    values = clamp(builder, values, format);
    Value words;
    if (getElement(values).isF32())
      words =
          convertInSteps(builder, padTo(builder, values, kPerWord), kPerWord, builder.getI32Type(),
                         1, [&](Value four) { return encodeFour(builder, four, format, count); });
    else
      words = encodeHalves(builder, values, format);
    return slice(builder, castTo(builder, words, builder.getI8Type()), 0, count);
  }

  bool decodes(Fp8Format format, Type type, float factor) const override {
    if (type.isF32())
      return true;
    if (chip.packedConversions == PackedConversions::None)
      return false;
    return type.isF16() || chip.multipliesBF16Pairs || isPowerOfTwo(factor);
  }

  Value decode(ImplicitLocOpBuilder &builder, Value codes, Fp8Format format, Type type,
               float factor) const override {
    int64_t count = getLength(codes);
    if (!type.isF32())
      return decodeScaled(builder, codes, format, type, factor);
    Value words = castTo(builder, padTo(builder, codes, kPerWord), builder.getI32Type());
    auto pairType = VectorType::get({2}, type);
    Value values = convertInSteps(builder, words, 1, type, kPerWord, [&](Value one) -> Value {
      Value word = vector::ExtractOp::create(builder, one, int64_t(0));
      Value halves[2];
      for (bool inHighHalf : {false, true})
        halves[inHighHalf] =
            isE4M3(format)
                ? Value(ROCDL::CvtPkF32Fp8Op::create(builder, pairType, word, inHighHalf))
                : Value(ROCDL::CvtPkF32Bf8Op::create(builder, pairType, word, inHighHalf));
      return vector::ShuffleOp::create(builder, halves[0], halves[1],
                                       ArrayRef<int64_t>{0, 1, 2, 3});
    });
    values = slice(builder, values, 0, count);
    return factor == 1.0f ? values : multiply(builder, values, factor);
  }

private:
  /// The conversions do not saturate (FP16_OVFL is clear in a new wave), so
  /// values are clamped before.
  Value clamp(ImplicitLocOpBuilder &builder, Value values, Fp8Format format) const;

  Value encodeFour(ImplicitLocOpBuilder &builder, Value four, Fp8Format format,
                   int64_t count) const;
  Value encodeHalves(ImplicitLocOpBuilder &builder, Value values, Fp8Format format) const;
  Value decodeScaled(ImplicitLocOpBuilder &builder, Value codes, Fp8Format format, Type type,
                     float factor) const;

  /// Whether `factor` is a power of two that the packed conversions multiply by.
  static bool isPowerOfTwo(float factor) {
    int exponent;
    return std::isnormal(factor) && std::frexp(factor, &exponent) == 0.5f;
  }

  const ChipInfo &chip;
};

} // namespace

Value Fp8Rocdl::clamp(ImplicitLocOpBuilder &builder, Value values, Fp8Format format) const {
  auto type = cast<FloatType>(getElement(values));
  int64_t count = getLength(values);
  const float largest = getInfo(format).maxFinite;
  Value high = splat(builder, count, type, largest), low = splat(builder, count, type, -largest);
  if (chip.clampsNaN) {
    Value below = arith::MinimumFOp::create(builder, values, high);
    return arith::MaximumFOp::create(builder, below, low);
  }
  // med3 loses a NaN.
  Value limits[] = {splat(builder, 1, type, -largest), splat(builder, 1, type, largest)};
  for (Value &limit : limits)
    limit = vector::ExtractOp::create(builder, limit, int64_t(0));
  Value clamped = convertInSteps(builder, values, 1, type, 1, [&](Value one) -> Value {
    Value value = vector::ExtractOp::create(builder, one, int64_t(0));
    return ROCDL::FMed3Op::create(builder, type, value, limits[0], limits[1]);
  });
  Value isNaN = arith::CmpFOp::create(builder, arith::CmpFPredicate::UNO, values, values);
  return arith::SelectOp::create(builder, isNaN, values, clamped);
}

/// A word of codes, the first `count` of which count.
Value Fp8Rocdl::encodeFour(ImplicitLocOpBuilder &builder, Value four, Fp8Format format,
                           int64_t count) const {
  Type i32 = builder.getI32Type();
  Value packed = arith::ConstantOp::create(builder, builder.getI32IntegerAttr(0));
  for (int64_t half = 0; half < 2 && 2 * half < count; ++half) {
    Value low = vector::ExtractOp::create(builder, four, 2 * half);
    Value high = vector::ExtractOp::create(builder, four, 2 * half + 1);
    bool inHighHalf = half == 1;
    packed = isE4M3(format)
                 ? Value(ROCDL::CvtPkFp8F32Op::create(builder, i32, low, high, packed, inHighHalf))
                 : Value(ROCDL::CvtPkBf8F32Op::create(builder, i32, low, high, packed, inHighHalf));
  }
  return packed;
}

Value Fp8Rocdl::encodeHalves(ImplicitLocOpBuilder &builder, Value values, Fp8Format format) const {
  Type i16 = builder.getI16Type(), i32 = builder.getI32Type();
  Value one = arith::ConstantOp::create(builder, builder.getF32FloatAttr(1.0f));
  if (chip.packedConversions == PackedConversions::ScaledEights) {
    auto wordsType = VectorType::get({2}, i32);
    return convertInSteps(builder, padTo(builder, values, 8), 8, i32, 2, [&](Value eight) -> Value {
      if (isE4M3(format))
        return ROCDL::CvtScaleF32Pk8Fp8F16Op::create(builder, wordsType, eight, one);
      return ROCDL::CvtScaleF32Pk8Bf8F16Op::create(builder, wordsType, eight, one);
    });
  }
  auto pairType = VectorType::get({2}, i16);
  return convertInSteps(
      builder, padTo(builder, values, kPerWord), kPerWord, i16, 2, [&](Value four) -> Value {
        Value packed = arith::ConstantOp::create(builder, builder.getZeroAttr(pairType));
        for (bool inHighHalf : {false, true}) {
          Value pair = slice(builder, four, inHighHalf ? 2 : 0, 2);
          packed = isE4M3(format)
                       ? Value(ROCDL::CvtScaleF32PkFp8F16Op::create(builder, pairType, packed, pair,
                                                                    one, inHighHalf))
                       : Value(ROCDL::CvtScaleF32PkBf8F16Op::create(builder, pairType, packed, pair,
                                                                    one, inHighHalf));
        }
        return packed;
      });
}

/// Values of a 16-bit type; a power of two is multiplied along.
Value Fp8Rocdl::decodeScaled(ImplicitLocOpBuilder &builder, Value codes, Fp8Format format,
                             Type type, float factor) const {
  int64_t count = getLength(codes);
  float along = isPowerOfTwo(factor) ? factor : 1.0f;
  Type i32 = builder.getI32Type();
  Value values;
  if (chip.packedConversions == PackedConversions::ScaledEights) {
    Value words = castTo(builder, padTo(builder, codes, 8), i32);
    auto eightType = VectorType::get({8}, type);
    // The exponent of the scale, biased as float32's, in whichever byte.
    int32_t exponent = 127 + std::ilogb(along);
    Value scale =
        arith::ConstantOp::create(builder, builder.getI32IntegerAttr(exponent * 0x01010101));
    values = convertInSteps(builder, words, 2, type, 8, [&](Value eight) -> Value {
      constexpr int32_t firstByte = 0;
      if (type.isF16())
        return isE4M3(format) ? Value(ROCDL::CvtPkScalePk8F16Fp8Op::create(builder, eightType,
                                                                           eight, scale, firstByte))
                              : Value(ROCDL::CvtPkScalePk8F16Bf8Op::create(
                                    builder, eightType, eight, scale, firstByte));
      return isE4M3(format) ? Value(ROCDL::CvtPkScalePk8Bf16Fp8Op::create(builder, eightType, eight,
                                                                          scale, firstByte))
                            : Value(ROCDL::CvtPkScalePk8Bf16Bf8Op::create(builder, eightType, eight,
                                                                          scale, firstByte));
    });
  } else {
    Value words = castTo(builder, padTo(builder, codes, kPerWord), i32);
    auto pairType = VectorType::get({2}, type);
    Value scale = arith::ConstantOp::create(builder, builder.getF32FloatAttr(along));
    values = convertInSteps(builder, words, 1, type, kPerWord, [&](Value one) -> Value {
      Value word = vector::ExtractOp::create(builder, one, int64_t(0));
      Value halves[2];
      for (bool inHighHalf : {false, true}) {
        Value &half = halves[inHighHalf];
        if (type.isF16())
          half = isE4M3(format)
                     ? Value(ROCDL::CvtScaleF32PkF16Fp8Op::create(builder, pairType, word, scale,
                                                                  inHighHalf))
                     : Value(ROCDL::CvtScaleF32PkF16Bf8Op::create(builder, pairType, word, scale,
                                                                  inHighHalf));
        else
          half = isE4M3(format)
                     ? Value(ROCDL::CvtScaleF32PkBf16Fp8Op::create(builder, pairType, word, scale,
                                                                   inHighHalf))
                     : Value(ROCDL::CvtScaleF32PkBf16Bf8Op::create(builder, pairType, word, scale,
                                                                   inHighHalf));
      }
      return vector::ShuffleOp::create(builder, halves[0], halves[1],
                                       ArrayRef<int64_t>{0, 1, 2, 3});
    });
  }
  values = slice(builder, values, 0, count);
  return along == factor ? values : multiply(builder, values, factor);
}

std::unique_ptr<Fp8Lowering> kvq::createRocdlFp8Lowering(const ChipInfo &chip) {
  return std::make_unique<Fp8Rocdl>(chip);
}
