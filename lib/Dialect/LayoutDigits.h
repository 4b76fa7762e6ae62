//===- LayoutDigits.h - A layout's map taken apart --------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DIALECT_LAYOUTDIGITS_H
#define KVQ_LIB_DIALECT_LAYOUTDIGITS_H

#include "kvq/Dialect/Layout.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/Diagnostics.h"

namespace kvq {

/// The results of a layout's map over dimensions of `sizes` as the dimensions of
/// a compact block, runs joined. An error says what the map lacks to tell every
/// element apart, or which size does not divide.
mlir::FailureOr<llvm::SmallVector<LayoutDigit, 4>>
getDigits(llvm::function_ref<mlir::InFlightDiagnostic()> emitError, mlir::AffineMap map,
          const LayoutSizes &sizes);

/// The same for a map that has been verified.
llvm::SmallVector<LayoutDigit, 4> cantFailDigits(mlir::AffineMap map, const LayoutSizes &sizes);

} // namespace kvq

#endif // KVQ_LIB_DIALECT_LAYOUTDIGITS_H
