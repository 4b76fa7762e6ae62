//===- Fp8Nvvm.cpp - FP8 conversions of NVIDIA chips ----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fp8Lowering.h"
#include "kvq/Dialect/Kvq.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace kvq;

namespace {

class Fp8Nvvm : public Fp8Lowering {
public:
  Value encode(ImplicitLocOpBuilder &builder, Value values, Fp8Format format) const override {
    auto type = cast<VectorType>(values.getType());
    int64_t count = type.getNumElements();
    FloatType narrow = kvq::getType(builder.getContext(), format);
    int64_t numPairs = llvm::divideCeil(count, 2);
    // Pairs are put together as 16-bit numbers: inserted byte by byte they would
    // cost a permutation each.
    Type i16 = builder.getI16Type();
    auto pairsType = VectorType::get({numPairs}, i16);
    Value pairs = arith::ConstantOp::create(builder, builder.getZeroAttr(pairsType));
    for (int64_t i = 0; i < count; i += 2) {
      Value low = vector::ExtractOp::create(builder, values, i);
      Value high = i + 1 < count ? Value(vector::ExtractOp::create(builder, values, i + 1)) : low;
      // The first operand becomes the high byte.
      Value pair = NVVM::ConvertF32x2ToF8x2Op::create(
          builder, i16, high, low, NVVM::FPRoundingMode::RN, NVVM::SaturationMode::SATFINITE,
          /*relu=*/false, narrow);
      pairs = vector::InsertOp::create(builder, pair, pairs, i / 2);
    }
    auto bytesType = VectorType::get({2 * numPairs}, builder.getI8Type());
    Value bytes = vector::BitCastOp::create(builder, bytesType, pairs);
    if (count == 2 * numPairs)
      return bytes;
    return vector::ExtractStridedSliceOp::create(builder, bytes, ArrayRef<int64_t>{0},
                                                 ArrayRef<int64_t>{count}, ArrayRef<int64_t>{1});
  }

  Value decode(ImplicitLocOpBuilder &builder, Value codes, Fp8Format format) const override {
    auto type = cast<VectorType>(codes.getType());
    int64_t count = type.getNumElements();
    FloatType narrow = kvq::getType(builder.getContext(), format);
    auto halvesType = VectorType::get({count}, builder.getF16Type());
    Value halves = arith::ConstantOp::create(builder, builder.getZeroAttr(halvesType));
    auto halfPair = VectorType::get({2}, builder.getF16Type());
    auto codePair = VectorType::get({2}, builder.getI8Type());
    for (int64_t i = 0; i < count; i += 2) {
      Value pair;
      if (i + 1 < count) {
        pair = vector::ExtractStridedSliceOp::create(builder, codes, ArrayRef<int64_t>{i},
                                                     ArrayRef<int64_t>{2}, ArrayRef<int64_t>{1});
      } else {
        Value only = vector::ExtractOp::create(builder, codes, i);
        pair = vector::BroadcastOp::create(builder, codePair, only);
      }
      Value converted = NVVM::ConvertF8x2ToF16x2Op::create(
          builder, halfPair, pair, builder.getBoolAttr(false), TypeAttr::get(narrow));
      if (i + 1 < count) {
        halves = vector::InsertStridedSliceOp::create(builder, converted, halves,
                                                      ArrayRef<int64_t>{i}, ArrayRef<int64_t>{1});
        continue;
      }
      Value only = vector::ExtractOp::create(builder, converted, int64_t(0));
      halves = vector::InsertOp::create(builder, only, halves, i);
    }
    return arith::ExtFOp::create(builder, VectorType::get({count}, builder.getF32Type()), halves);
  }
};

} // namespace

std::unique_ptr<Fp8Lowering> kvq::createNvvmFp8Lowering() { return std::make_unique<Fp8Nvvm>(); }
