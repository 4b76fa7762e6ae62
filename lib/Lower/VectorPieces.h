//===- VectorPieces.h - Vectors taken apart and put together ----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_LOWER_VECTORPIECES_H
#define KVQ_LIB_LOWER_VECTORPIECES_H

#include "kvq/Support/Names.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace kvq {

/// The length and the element type of a vector of rank 1.
inline int64_t getLength(mlir::Value vector) {
  return llvm::cast<mlir::VectorType>(vector.getType()).getNumElements();
}
inline mlir::Type getElement(mlir::Value vector) {
  return llvm::cast<mlir::VectorType>(vector.getType()).getElementType();
}

/// A vector of `length` times `value`, a number of the element type.
mlir::Value splat(mlir::ImplicitLocOpBuilder &builder, int64_t length, mlir::FloatType type,
                  double value);
mlir::Value splat(mlir::ImplicitLocOpBuilder &builder, int64_t length, mlir::IntegerType type,
                  uint64_t value);

/// `values`, floats, times a number of their type.
mlir::Value multiply(mlir::ImplicitLocOpBuilder &builder, mlir::Value values, double factor);

/// Float32 values with a scale applied by `method`, whose constants are `a` and, of
/// 'two_step', `b`, vectors like `values`: multiplied, or else divided.
mlir::Value scaleBy(mlir::ImplicitLocOpBuilder &builder, mlir::Value values, Method method,
                    mlir::Value a, mlir::Value b);

/// `vector` with zeros behind it, so that its length is a multiple of `step`.
mlir::Value padTo(mlir::ImplicitLocOpBuilder &builder, mlir::Value vector, int64_t step);

/// The `count` elements of `vector` from `first` on.
mlir::Value slice(mlir::ImplicitLocOpBuilder &builder, mlir::Value vector, int64_t first,
                  int64_t count);

/// The bits of `vector` as elements of `type`, as many as they are.
mlir::Value castTo(mlir::ImplicitLocOpBuilder &builder, mlir::Value vector, mlir::Type type);

/// Every `step` elements of `vector` put through `convert`, to results of
/// `resultsPerStep` elements of `type` each, one behind the other. The vector's
/// length is a multiple of `step`.
mlir::Value convertInSteps(mlir::ImplicitLocOpBuilder &builder, mlir::Value vector, int64_t step,
                           mlir::Type type, int64_t resultsPerStep,
                           llvm::function_ref<mlir::Value(mlir::Value)> convert);

} // namespace kvq

#endif // KVQ_LIB_LOWER_VECTORPIECES_H
