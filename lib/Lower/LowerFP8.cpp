//===- LowerFP8.cpp - FP8 arithmetic becomes instructions -----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Division.h"
#include "Fp8Lowering.h"
#include "VectorPieces.h"
#include "kvq/Dialect/Kvq.h"
#include "kvq/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/LLVMIR/ROCDLDialect.h"
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
  FailureOr<std::unique_ptr<Fp8Lowering>> getLowering(ScaledOpInterface op, Fp8Format format);

  LogicalResult lower(QuantizeOp op);
  LogicalResult lower(DequantizeOp op);
  static void lower(TranscodeOp op);
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

/// The one arithmetic of an element-wise op; null where none was chosen.
ArithmeticAttr getArithmetic(ScaledOpInterface op) {
  ArrayAttr all = op.getArithmeticAttr();
  return all ? cast<ArithmeticAttr>(all[0]) : ArithmeticAttr();
}

/// A scale for each of `values`.
Value broadcastScale(ImplicitLocOpBuilder &builder, Value scale, Value values) {
  if (isa<VectorType>(scale.getType()))
    return flatten(builder, scale);
  return vector::BroadcastOp::create(builder, values.getType(), scale);
}

/// `values` in float32.
Value widen(ImplicitLocOpBuilder &builder, Value values) {
  TargetAttr target = getTarget(builder.getInsertionBlock()->getParentOp());
  auto wide = flatType(values.getType(), builder.getF32Type());
  if (values.getType() == wide)
    return values;
  if (!getElement(values).isBF16() || !target || target.getChipInfo().backend != Backend::NVVM)
    return arith::ExtFOp::create(builder, wide, values);
  // Two bf16 values are a word, in which each has its place in a float32: two
  // instructions, where ptxas takes three for what LLVM makes of an extension.
  auto i32 = builder.getI32Type();
  Value words = castTo(builder, padTo(builder, values, 2), i32);
  int64_t count = getLength(words);
  Value low = arith::ShLIOp::create(builder, words, splat(builder, count, i32, 16));
  Value high = arith::AndIOp::create(builder, words, splat(builder, count, i32, 0xffff0000));
  SmallVector<int64_t> places;
  for (int64_t i = 0; i != count; ++i)
    places.append({i, count + i});
  Value both = vector::ShuffleOp::create(builder, low, high, places);
  return slice(builder, castTo(builder, both, builder.getF32Type()), 0, getLength(values));
}

/// Float32 values over `scale`, as a GPU or the host divides.
Value divide(ImplicitLocOpBuilder &builder, Value values, Value scale) {
  TargetAttr target = getTarget(builder.getInsertionBlock()->getParentOp());
  if (target && target.getChipInfo().backend != Backend::Host && !isa<VectorType>(scale.getType()))
    return divideForFp8(builder, values, scale);
  return arith::DivFOp::create(builder, values, broadcastScale(builder, scale, values));
}

/// Source values divided by the scale as the arithmetic says, in float32 or, where
/// `encodesSource`, in the source type.
Value divideByScale(ImplicitLocOpBuilder &builder, Value values, Value scale,
                    ArithmeticAttr arithmetic, bool encodesSource) {
  if (!arithmetic)
    return divide(builder, widen(builder, values), scale);
  const float a = arithmetic.getA().convertToFloat(), b = arithmetic.getB().convertToFloat();
  switch (arithmetic.getMethod()) {
  case Method::None:
    return encodesSource ? values : widen(builder, values);
  case Method::MultiplyPacked:
    values = multiply(builder, values, a);
    return encodesSource ? values : widen(builder, values);
  case Method::Divide:
    return divide(builder, widen(builder, values),
                  arith::ConstantOp::create(builder, builder.getF32FloatAttr(a)));
  default:
    break;
  }
  values = widen(builder, values);
  auto constant = [&](float number) {
    return splat(builder, getLength(values), builder.getF32Type(), number);
  };
  Value first = constant(a);
  Value second = arithmetic.getMethod() == Method::TwoStep ? constant(b) : Value();
  return scaleBy(builder, values, arithmetic.getMethod(), first, second);
}

/// Float32 values rounded toward zero in a 16-bit type.
Value truncateTo(ImplicitLocOpBuilder &builder, Value values, FloatType type) {
  int64_t count = getLength(values);
  if (type.isBF16()) {
    // The upper halves.
    Value halves = castTo(builder, values, builder.getI16Type());
    SmallVector<int64_t> upper;
    for (int64_t i = 0; i != count; ++i)
      upper.push_back(2 * i + 1);
    return castTo(builder, vector::ShuffleOp::create(builder, halves, halves, upper), type);
  }
  auto pairType = VectorType::get({2}, type);
  Value pairs =
      convertInSteps(builder, padTo(builder, values, 2), 2, type, 2, [&](Value pair) -> Value {
        Value low = vector::ExtractOp::create(builder, pair, int64_t(0));
        Value high = vector::ExtractOp::create(builder, pair, int64_t(1));
        return ROCDL::CvtPkRtz::create(builder, pairType, low, high);
      });
  return slice(builder, pairs, 0, count);
}

} // namespace

FailureOr<std::unique_ptr<Fp8Lowering>> LowerFP8::getLowering(ScaledOpInterface op,
                                                              Fp8Format format) {
  if (Type type = op->getResult(0).getType(); isa<TensorType>(type))
    return op.emitOpError("expected a scalar or a vector, but got ")
           << type << "; run 'convert-elementwise-to-linalg' and 'one-shot-bufferize' first";
  if (strategy == Fp8Strategy::Soft && !getTarget(op))
    return createSoftFp8Lowering(/*isHost=*/true);
  FailureOr<TargetAttr> target = requireTarget(op);
  if (failed(target))
    return failure();
  const ChipInfo &chip = target->getChipInfo();
  bool isNative = op.isQuantizing() ? chip.storesNatively(format) : chip.loadsNatively(format);
  Backend wanted = strategy == Fp8Strategy::NVVM    ? Backend::NVVM
                   : strategy == Fp8Strategy::ROCDL ? Backend::ROCDL
                                                    : chip.backend;
  bool insists = strategy == Fp8Strategy::NVVM || strategy == Fp8Strategy::ROCDL;
  if (insists && (chip.backend != wanted || !isNative))
    return op.emitOpError("expected a chip with '")
           << stringify(strategy.getValue()) << "' conversions "
           << (op.isQuantizing() ? "to" : "from") << " " << stringify(format) << ", but got '"
           << chip.name << "'";
  if (!isNative || strategy == Fp8Strategy::Soft)
    return createSoftFp8Lowering(chip.backend == Backend::Host);
  return wanted == Backend::NVVM ? createNvvmFp8Lowering() : createRocdlFp8Lowering(chip);
}

/// Arithmetic that a hand-written attribute may ask for, but that the conversion
/// at hand does not have.
static LogicalResult checkArithmetic(ScaledOpInterface op, const Fp8Lowering &lowering,
                                     Fp8Format format) {
  ArithmeticAttr arithmetic = getArithmetic(op);
  if (!arithmetic)
    return success();
  Method method = arithmetic.getMethod();
  if (method == Method::Argument)
    return op.emitOpError("expected an arithmetic with a constant, but got '")
           << stringify(method) << "'";
  bool isPacked = method == Method::MultiplyPacked;
  Type wide = op.getWideElementType(), in = kvq::getType(op->getContext(), arithmetic.getIn());
  if (op.isQuantizing()) {
    if (isPacked && in != wide)
      return op.emitOpError("expected a packed multiplication in ")
             << wide << ", but got one in " << in;
    return success();
  }
  if (method == Method::TwoStep || method == Method::Divide)
    return op.emitOpError("expected an arithmetic of 'none', 'multiply' or 'multiply_packed', but "
                          "got '")
           << stringify(method) << "'";
  if (!lowering.decodes(format, in, arithmetic.getA().convertToFloat())) {
    InFlightDiagnostic error = op.emitOpError("expected a chip that ");
    if (isPacked)
      error << "multiplies " << in << " values of " << stringify(format);
    else
      error << "decodes " << stringify(format) << " in " << in;
    return error << ", but got '" << (getTarget(op) ? getTarget(op).getChip() : "none") << "'";
  }
  bool isAmd = getTarget(op) && getTarget(op).getChipInfo().backend == Backend::ROCDL;
  if (arithmetic.getTruncates() && !wide.isBF16() && !(wide.isF16() && isAmd))
    return op.emitOpError("expected a chip that rounds toward zero in ")
           << wide << ", but got '" << (getTarget(op) ? getTarget(op).getChip() : "none") << "'";
  return success();
}

LogicalResult LowerFP8::lower(QuantizeOp op) {
  Fp8Format format = *getFp8Format(op.getNarrowElementType());
  FailureOr<std::unique_ptr<Fp8Lowering>> lowering = getLowering(op, format);
  if (failed(lowering) || failed(checkArithmetic(op, **lowering, format)))
    return failure();
  ImplicitLocOpBuilder builder(op.getLoc(), op);
  Type resultType = op.getResult().getType();
  Value values =
      divideByScale(builder, flatten(builder, op.getInput()), op.getScale(), getArithmetic(op),
                    (*lowering)->encodes(format, op.getWideElementType()));
  Value codes = (*lowering)->encode(builder, values, format);
  Value bits = unflatten(builder, codes, withElement(resultType, builder.getI8Type()));
  op.replaceAllUsesWith(Value(arith::BitcastOp::create(builder, resultType, bits)));
  op.erase();
  return success();
}

LogicalResult LowerFP8::lower(DequantizeOp op) {
  Fp8Format format = *getFp8Format(op.getNarrowElementType());
  FailureOr<std::unique_ptr<Fp8Lowering>> lowering = getLowering(op, format);
  if (failed(lowering) || failed(checkArithmetic(op, **lowering, format)))
    return failure();
  ImplicitLocOpBuilder builder(op.getLoc(), op);
  Type resultType = op.getResult().getType();
  auto wide = cast<FloatType>(op.getWideElementType());
  Type bitsType = withElement(resultType, builder.getI8Type());
  Value codes = flatten(builder, arith::BitcastOp::create(builder, bitsType, op.getInput()));

  ArithmeticAttr arithmetic = getArithmetic(op);
  const bool truncates = arithmetic && arithmetic.getTruncates();
  const float factor = arithmetic && arithmetic.getMethod() != Method::None
                           ? arithmetic.getA().convertToFloat()
                           : 1.0f;
  // The type that the products are rounded in.
  Type in = arithmetic ? kvq::getType(builder.getContext(), arithmetic.getIn())
                       : Type(builder.getF32Type());
  Value values = (*lowering)->decode(builder, codes, format, in, factor);
  if (!arithmetic)
    values = arith::MulFOp::create(builder, values, broadcastScale(builder, op.getScale(), values));
  if (in != wide) {
    values = widen(builder, values);
    if (truncates)
      values = truncateTo(builder, values, wide);
    else if (!wide.isF32())
      values = arith::TruncFOp::create(builder, flatType(resultType, wide), values);
  }
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
