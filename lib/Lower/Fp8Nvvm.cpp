//===- Fp8Nvvm.cpp - FP8 conversions of NVIDIA chips ----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fp8Lowering.h"
#include "VectorPieces.h"
#include "kvq/Dialect/Kvq.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace kvq;

namespace {

/// Two values an instruction.
class Fp8Nvvm : public Fp8Lowering {
public:
  bool encodes(Fp8Format format, Type type) const override { return type.isF32() || type.isF16(); }

  Value encode(ImplicitLocOpBuilder &builder, Value values, Fp8Format format) const override {
    int64_t count = getLength(values);
    FloatType narrow = kvq::getType(builder.getContext(), format);
    // Pairs are put together as 16-bit numbers: inserted byte by byte they would
    // cost a permutation each.
    Type i16 = builder.getI16Type();
    Value pairs =
        convertInSteps(builder, padTo(builder, values, 2), 2, i16, 1, [&](Value pair) -> Value {
          if (getElement(pair).isF16())
            return NVVM::ConvertF16x2ToF8x2Op::create(builder, i16, pair, /*relu=*/false, narrow);
          Value low = vector::ExtractOp::create(builder, pair, int64_t(0));
          Value high = vector::ExtractOp::create(builder, pair, int64_t(1));
          // The first operand becomes the high byte.
          return NVVM::ConvertF32x2ToF8x2Op::create(
              builder, i16, high, low, NVVM::FPRoundingMode::RN, NVVM::SaturationMode::SATFINITE,
              /*relu=*/false, narrow);
        });
    return slice(builder, castTo(builder, pairs, builder.getI8Type()), 0, count);
  }

  bool decodes(Fp8Format format, Type type, float factor) const override {
    return type.isF32() || type.isF16();
  }

  Value decode(ImplicitLocOpBuilder &builder, Value codes, Fp8Format format, Type type,
               float factor) const override {
    int64_t count = getLength(codes);
    FloatType narrow = kvq::getType(builder.getContext(), format);
    auto halfPair = VectorType::get({2}, builder.getF16Type());
    Value pairs = castTo(builder, padTo(builder, codes, 2), builder.getI16Type());
    Value values =
        convertInSteps(builder, pairs, 1, builder.getF16Type(), 2, [&](Value pair) -> Value {
          return NVVM::ConvertF8x2ToF16x2Op::create(
              builder, halfPair, castTo(builder, pair, builder.getI8Type()),
              builder.getBoolAttr(false), TypeAttr::get(narrow));
        });
    values = slice(builder, values, 0, count);
    if (type.isF32())
      values = arith::ExtFOp::create(builder, VectorType::get({count}, type), values);
    return factor == 1.0f ? values : multiply(builder, values, factor);
  }
};

} // namespace

std::unique_ptr<Fp8Lowering> kvq::createNvvmFp8Lowering() { return std::make_unique<Fp8Nvvm>(); }
