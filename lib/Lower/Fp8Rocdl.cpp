//===- Fp8Rocdl.cpp - FP8 conversions of AMD chips ------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fp8Lowering.h"
#include "kvq/Numerics/Formats.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/ROCDLDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

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
  Value encode(ImplicitLocOpBuilder &builder, Value values, Fp8Format format) const override {
    auto type = cast<VectorType>(values.getType());
    int64_t count = type.getNumElements();
    int64_t numWords = llvm::divideCeil(count, kPerWord);
    Type i32 = builder.getI32Type();
    auto wordsType = VectorType::get({numWords}, i32);
    Value zero = arith::ConstantOp::create(builder, builder.getI32IntegerAttr(0));
    Value words = arith::ConstantOp::create(builder, builder.getZeroAttr(wordsType));
    for (int64_t word = 0; word < numWords; ++word) {
      Value packed = zero;
      for (int64_t half = 0; half < 2; ++half) {
        int64_t first = word * kPerWord + half * 2;
        if (first >= count)
          break;
        Value low = clamp(builder, vector::ExtractOp::create(builder, values, first), format);
        Value high =
            first + 1 < count
                ? clamp(builder, vector::ExtractOp::create(builder, values, first + 1), format)
                : low;
        bool inHighHalf = half == 1;
        packed =
            isE4M3(format)
                ? Value(ROCDL::CvtPkFp8F32Op::create(builder, i32, low, high, packed, inHighHalf))
                : Value(ROCDL::CvtPkBf8F32Op::create(builder, i32, low, high, packed, inHighHalf));
      }
      words = vector::InsertOp::create(builder, packed, words, word);
    }
    auto bytesType = VectorType::get({numWords * kPerWord}, builder.getI8Type());
    Value bytes = vector::BitCastOp::create(builder, bytesType, words);
    if (count == numWords * kPerWord)
      return bytes;
    return vector::ExtractStridedSliceOp::create(builder, bytes, ArrayRef<int64_t>{0},
                                                 ArrayRef<int64_t>{count}, ArrayRef<int64_t>{1});
  }

  Value decode(ImplicitLocOpBuilder &builder, Value codes, Fp8Format format) const override {
    auto type = cast<VectorType>(codes.getType());
    int64_t count = type.getNumElements();
    int64_t numWords = llvm::divideCeil(count, kPerWord);
    auto bytesType = VectorType::get({numWords * kPerWord}, builder.getI8Type());
    if (count != numWords * kPerWord) {
      Value padded = arith::ConstantOp::create(builder, builder.getZeroAttr(bytesType));
      codes = vector::InsertStridedSliceOp::create(builder, codes, padded, ArrayRef<int64_t>{0},
                                                   ArrayRef<int64_t>{1});
    }
    Value words = vector::BitCastOp::create(
        builder, VectorType::get({numWords}, builder.getI32Type()), codes);
    auto pairType = VectorType::get({2}, builder.getF32Type());
    auto valuesType = VectorType::get({count}, builder.getF32Type());
    Value values = arith::ConstantOp::create(builder, builder.getZeroAttr(valuesType));
    for (int64_t first = 0; first < count; first += 2) {
      Value word = vector::ExtractOp::create(builder, words, first / kPerWord);
      bool inHighHalf = first % kPerWord != 0;
      Value pair = isE4M3(format)
                       ? Value(ROCDL::CvtPkF32Fp8Op::create(builder, pairType, word, inHighHalf))
                       : Value(ROCDL::CvtPkF32Bf8Op::create(builder, pairType, word, inHighHalf));
      if (first + 1 < count) {
        values = vector::InsertStridedSliceOp::create(
            builder, pair, values, ArrayRef<int64_t>{first}, ArrayRef<int64_t>{1});
        continue;
      }
      Value only = vector::ExtractOp::create(builder, pair, int64_t(0));
      values = vector::InsertOp::create(builder, only, values, first);
    }
    return values;
  }

private:
  /// The instructions do not saturate (FP16_OVFL is clear in a new wave), so
  /// values are clamped before; fmed3 would lose a NaN.
  static Value clamp(ImplicitLocOpBuilder &builder, Value value, Fp8Format format) {
    Type f32 = builder.getF32Type();
    float largest = getInfo(format).maxFinite;
    Value high = arith::ConstantOp::create(builder, builder.getF32FloatAttr(largest));
    Value low = arith::ConstantOp::create(builder, builder.getF32FloatAttr(-largest));
    Value clamped = ROCDL::FMed3Op::create(builder, f32, value, low, high);
    Value isNaN = arith::CmpFOp::create(builder, arith::CmpFPredicate::UNO, value, value);
    return arith::SelectOp::create(builder, isNaN, value, clamped);
  }
};

} // namespace

std::unique_ptr<Fp8Lowering> kvq::createRocdlFp8Lowering() { return std::make_unique<Fp8Rocdl>(); }
