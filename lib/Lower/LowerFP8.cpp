//===- LowerFP8.cpp - FP8 arithmetic becomes instructions -----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fp8Lowering.h"
#include "kvq/Dialect/Kvq.h"
#include "kvq/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/LLVMIR/ROCDLDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"

namespace kvq {
#define GEN_PASS_DEF_LOWERFP8PASS
#include "kvq/Passes.h.inc"
} // namespace kvq

using namespace mlir;
using namespace kvq;

namespace {

struct LowerFP8 : kvq::impl::LowerFP8PassBase<LowerFP8> {
  using LowerFP8PassBase::LowerFP8PassBase;

  void runOnOperation() override {
    getOperation()->walk([](TranscodeOp op) { lower(op); });
    WalkResult result = getOperation()->walk([&](ScaledOpInterface op) -> WalkResult {
      if (auto quantize = dyn_cast<QuantizeOp>(*op))
        return lower(quantize);
      if (auto dequantize = dyn_cast<DequantizeOp>(*op))
        return lower(dequantize);
      op.emitOpError("expected no cache operation; run 'kvq-lower-cache-ops' first");
      return WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

private:
  /// How to convert for an op, by the chip table and the pass's option.
  FailureOr<const Fp8Lowering *> getLowering(ScaledOpInterface op, Fp8Format format);

  LogicalResult lower(QuantizeOp op);
  LogicalResult lower(DequantizeOp op);
  static void lower(TranscodeOp op);

  std::shared_ptr<const Fp8Lowering> soft = createSoftFp8Lowering();
  std::shared_ptr<const Fp8Lowering> nvvm = createNvvmFp8Lowering();
  std::shared_ptr<const Fp8Lowering> rocdl = createRocdlFp8Lowering();
};

/// The vector type of rank 1 that holds a scalar or a vector of any rank.
VectorType flatType(Type type, Type element) {
  auto vector = dyn_cast<VectorType>(type);
  return VectorType::get({vector ? vector.getNumElements() : 1}, element);
}

/// A type of the same shape with another element.
Type withElement(Type type, Type element) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? Type(vector.clone(element)) : element;
}

/// A scalar or vector as a vector of rank 1, and back. FP8 values are taken as
/// their bits first, so that nothing is left of them where users do the same.
Value flatten(ImplicitLocOpBuilder &builder, Value value) {
  auto vector = dyn_cast<VectorType>(value.getType());
  if (!vector)
    return vector::BroadcastOp::create(builder, flatType(value.getType(), value.getType()), value);
  if (vector.getRank() == 1)
    return value;
  return vector::ShapeCastOp::create(builder, flatType(vector, vector.getElementType()), value);
}
Value unflatten(ImplicitLocOpBuilder &builder, Value value, Type type) {
  if (!isa<VectorType>(type))
    return vector::ExtractOp::create(builder, value, int64_t(0));
  if (cast<VectorType>(type).getRank() == 1)
    return value;
  return vector::ShapeCastOp::create(builder, type, value);
}

/// `values` with the scale applied, as the op's arithmetic says: x / scale
/// before quantising and x * scale after dequantising where it says nothing.
Value applyScale(ImplicitLocOpBuilder &builder, Value values, Value scale, ArrayAttr arithmetic,
                 bool isQuantizing) {
  auto type = cast<VectorType>(values.getType());
  auto splat = [&](const APFloat &value) -> Value {
    return arith::ConstantOp::create(builder, DenseElementsAttr::get(type, value));
  };
  if (!arithmetic) {
    Value scales = isa<VectorType>(scale.getType())
                       ? flatten(builder, scale)
                       : vector::BroadcastOp::create(builder, type, scale);
    return isQuantizing ? Value(arith::DivFOp::create(builder, values, scales))
                        : Value(arith::MulFOp::create(builder, values, scales));
  }
  auto chosen = cast<ArithmeticAttr>(arithmetic[0]);
  switch (chosen.getMethod()) {
  case Method::None:
    return values;
  case Method::Multiply:
    return arith::MulFOp::create(builder, values, splat(chosen.getA()));
  case Method::TwoStep: {
    Value rest = arith::MulFOp::create(builder, values, splat(chosen.getB()));
    return LLVM::FMAOp::create(builder, values, splat(chosen.getA()), rest);
  }
  case Method::Divide:
    return arith::DivFOp::create(builder, values, splat(chosen.getA()));
  case Method::MultiplyPacked:
  case Method::Argument:
    break;
  }
  return {};
}

} // namespace

FailureOr<const Fp8Lowering *> LowerFP8::getLowering(ScaledOpInterface op, Fp8Format format) {
  if (Type type = op->getResult(0).getType(); isa<TensorType>(type))
    return op.emitOpError("expected a scalar or a vector, but got ")
           << type << "; run 'convert-elementwise-to-linalg' and 'one-shot-bufferize' first";
  if (strategy == Fp8Strategy::Soft)
    return soft.get();
  FailureOr<TargetAttr> target = requireTarget(op);
  if (failed(target))
    return failure();
  const ChipInfo &chip = target->getChipInfo();
  bool isNative = op.isQuantizing() ? chip.storesNatively(format) : chip.loadsNatively(format);
  Backend wanted = strategy == Fp8Strategy::NVVM    ? Backend::NVVM
                   : strategy == Fp8Strategy::ROCDL ? Backend::ROCDL
                                                    : chip.backend;
  if (strategy != Fp8Strategy::Auto && (chip.backend != wanted || !isNative))
    return op.emitOpError("expected a chip with '")
           << stringify(strategy.getValue()) << "' conversions "
           << (op.isQuantizing() ? "to" : "from") << " " << stringify(format) << ", but got '"
           << chip.name << "'";
  if (!isNative)
    return soft.get();
  return wanted == Backend::NVVM ? nvvm.get() : rocdl.get();
}

/// Arithmetic that a hand-written attribute may ask for, but that no conversion
/// has.
static LogicalResult checkArithmetic(ScaledOpInterface op) {
  ArrayAttr arithmetic = op.getArithmeticAttr();
  if (!arithmetic)
    return success();
  Method method = cast<ArithmeticAttr>(arithmetic[0]).getMethod();
  if (method != Method::MultiplyPacked && method != Method::Argument)
    return success();
  return op.emitOpError("expected an arithmetic of 'none', 'multiply', 'two_step' or 'divide', "
                        "but got '")
         << stringify(method) << "'";
}

LogicalResult LowerFP8::lower(QuantizeOp op) {
  Fp8Format format = *getFp8Format(op.getNarrowElementType());
  FailureOr<const Fp8Lowering *> lowering = getLowering(op, format);
  if (failed(lowering) || failed(checkArithmetic(op)))
    return failure();
  ImplicitLocOpBuilder builder(op.getLoc(), op);
  Value values = flatten(builder, op.getInput());
  Type resultType = op.getResult().getType();
  if (!op.getWideElementType().isF32())
    values = arith::ExtFOp::create(builder, flatType(resultType, builder.getF32Type()), values);
  values = applyScale(builder, values, op.getScale(), op.getArithmeticAttr(), true);
  Value codes = (*lowering)->encode(builder, values, format);
  Value bits = unflatten(builder, codes, withElement(resultType, builder.getI8Type()));
  op.replaceAllUsesWith(Value(arith::BitcastOp::create(builder, resultType, bits)));
  op.erase();
  return success();
}

LogicalResult LowerFP8::lower(DequantizeOp op) {
  Fp8Format format = *getFp8Format(op.getNarrowElementType());
  FailureOr<const Fp8Lowering *> lowering = getLowering(op, format);
  if (failed(lowering) || failed(checkArithmetic(op)))
    return failure();
  ImplicitLocOpBuilder builder(op.getLoc(), op);
  Type resultType = op.getResult().getType();
  Type bitsType = withElement(resultType, builder.getI8Type());
  Value codes = flatten(builder, arith::BitcastOp::create(builder, bitsType, op.getInput()));
  Value values = (*lowering)->decode(builder, codes, format);
  values = applyScale(builder, values, op.getScale(), op.getArithmeticAttr(), false);
  if (!op.getWideElementType().isF32())
    values =
        arith::TruncFOp::create(builder, flatType(resultType, op.getWideElementType()), values);
  op.replaceAllUsesWith(unflatten(builder, values, resultType));
  op.erase();
  return success();
}

void LowerFP8::lower(TranscodeOp op) {
  ImplicitLocOpBuilder builder(op.getLoc(), op);
  Type inputType = op.getInput().getType(), resultType = op.getResult().getType();
  Type bitsType = withElement(resultType, builder.getI8Type());
  Value codes = flatten(builder, arith::BitcastOp::create(builder, bitsType, op.getInput()));
  codes = transcode(builder, codes, *getFp8Format(getElementTypeOrSelf(inputType)),
                    *getFp8Format(getElementTypeOrSelf(resultType)));
  Value bits = unflatten(builder, codes, bitsType);
  op.replaceAllUsesWith(Value(arith::BitcastOp::create(builder, resultType, bits)));
  op.erase();
}
