//===- VectorPieces.cpp - Vectors taken apart and put together ------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VectorPieces.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace kvq;

Value kvq::splat(ImplicitLocOpBuilder &builder, int64_t length, FloatType type, double value) {
  llvm::APFloat number(value);
  bool losesInfo;
  number.convert(type.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &losesInfo);
  return arith::ConstantOp::create(builder,
                                   DenseElementsAttr::get(VectorType::get({length}, type), number));
}

Value kvq::splat(ImplicitLocOpBuilder &builder, int64_t length, IntegerType type, uint64_t value) {
  llvm::APInt number(type.getWidth(), value, /*isSigned=*/false, /*implicitTrunc=*/true);
  return arith::ConstantOp::create(builder,
                                   DenseElementsAttr::get(VectorType::get({length}, type), number));
}

Value kvq::multiply(ImplicitLocOpBuilder &builder, Value values, double factor) {
  auto type = cast<FloatType>(getElement(values));
  return arith::MulFOp::create(builder, values, splat(builder, getLength(values), type, factor));
}

Value kvq::scaleBy(ImplicitLocOpBuilder &builder, Value values, Method method, Value a, Value b) {
  if (method == Method::Multiply)
    return arith::MulFOp::create(builder, values, a);
  if (method != Method::TwoStep)
    return arith::DivFOp::create(builder, values, a);
  Value rest = arith::MulFOp::create(builder, values, b);
  return LLVM::FMAOp::create(builder, values, a, rest);
}

Value kvq::padTo(ImplicitLocOpBuilder &builder, Value vector, int64_t step) {
  int64_t length = getLength(vector), padded = llvm::alignTo(length, step);
  if (length == padded)
    return vector;
  Value zeros = arith::ConstantOp::create(
      builder, builder.getZeroAttr(VectorType::get({padded}, getElement(vector))));
  return vector::InsertStridedSliceOp::create(builder, vector, zeros, ArrayRef<int64_t>{0},
                                              ArrayRef<int64_t>{1});
}

Value kvq::slice(ImplicitLocOpBuilder &builder, Value vector, int64_t first, int64_t count) {
  if (first == 0 && count == getLength(vector))
    return vector;
  return vector::ExtractStridedSliceOp::create(builder, vector, ArrayRef<int64_t>{first},
                                               ArrayRef<int64_t>{count}, ArrayRef<int64_t>{1});
}

Value kvq::castTo(ImplicitLocOpBuilder &builder, Value vector, Type type) {
  if (getElement(vector) == type)
    return vector;
  int64_t bits = getLength(vector) * getElement(vector).getIntOrFloatBitWidth();
  return vector::BitCastOp::create(
      builder, VectorType::get({bits / type.getIntOrFloatBitWidth()}, type), vector);
}

Value kvq::convertInSteps(ImplicitLocOpBuilder &builder, Value vector, int64_t step, Type type,
                          int64_t resultsPerStep, llvm::function_ref<Value(Value)> convert) {
  int64_t numSteps = getLength(vector) / step;
  auto resultType = VectorType::get({numSteps * resultsPerStep}, type);
  Value results = arith::ConstantOp::create(builder, builder.getZeroAttr(resultType));
  for (int64_t i = 0; i != numSteps; ++i) {
    Value result = convert(slice(builder, vector, i * step, step));
    if (!isa<VectorType>(result.getType()))
      results = vector::InsertOp::create(builder, result, results, i);
    else
      results = vector::InsertStridedSliceOp::create(
          builder, result, results, ArrayRef<int64_t>{i * resultsPerStep}, ArrayRef<int64_t>{1});
  }
  return results;
}
