//===- CodeBuilder.h - Integers and addresses of kernels --------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_LOWER_CODEBUILDER_H
#define KVQ_LIB_LOWER_CODEBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace kvq {

/// Builds the arithmetic of kernels. Integers are unsigned, i64 or, within a
/// thread block, i32; both operands of an operation have one type.
class CodeBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;
  using Value = mlir::Value;

  Value constant(int64_t value, unsigned width = 64) {
    return mlir::arith::ConstantOp::create(*this, getIntegerAttr(getIntegerType(width), value));
  }
  /// A constant of the type of `like`.
  Value constantLike(int64_t value, Value like) {
    return mlir::arith::ConstantOp::create(*this, getIntegerAttr(like.getType(), value));
  }
  Value add(Value a, Value b) { return mlir::arith::AddIOp::create(*this, a, b); }
  Value sub(Value a, Value b) { return mlir::arith::SubIOp::create(*this, a, b); }
  Value mul(Value a, Value b) { return mlir::arith::MulIOp::create(*this, a, b); }
  Value both(Value a, Value b) { return mlir::arith::AndIOp::create(*this, a, b); }
  Value add(Value a, int64_t b) { return b == 0 ? a : add(a, constantLike(b, a)); }
  Value mul(Value a, int64_t b) { return b == 1 ? a : mul(a, constantLike(b, a)); }
  Value div(Value a, int64_t b) {
    return b == 1 ? a : Value(mlir::arith::DivUIOp::create(*this, a, constantLike(b, a)));
  }
  Value rem(Value a, int64_t b) {
    return mlir::arith::RemUIOp::create(*this, a, constantLike(b, a));
  }
  Value compare(mlir::arith::CmpIPredicate predicate, Value a, Value b) {
    return mlir::arith::CmpIOp::create(*this, predicate, a, b);
  }
  Value compare(mlir::arith::CmpIPredicate predicate, Value a, int64_t b) {
    return compare(predicate, a, constantLike(b, a));
  }
  /// An integer as i64.
  Value extend(Value value) {
    return value.getType().isInteger(64)
               ? value
               : Value(mlir::arith::ExtUIOp::create(*this, getI64Type(), value));
  }

  /// The integer that holds an element's bits, so that what is copied is never
  /// interpreted.
  mlir::Type bitsOf(mlir::Type element) { return getIntegerType(element.getIntOrFloatBitWidth()); }

  /// The address of element `offset` of an array of `type`.
  Value address(Value base, mlir::Type type, Value offset) {
    return mlir::LLVM::GEPOp::create(*this, base.getType(), type, base,
                                     llvm::ArrayRef<mlir::LLVM::GEPArg>{offset});
  }

  /// Number `index` of an array of integers that nothing writes meanwhile.
  Value loadInteger(Value base, unsigned width, Value index) {
    mlir::Type type = getIntegerType(width);
    auto load = mlir::LLVM::LoadOp::create(*this, type, address(base, type, index), width / 8);
    load.setInvariant(true);
    return load;
  }

  /// Has `body` build what runs where `condition` holds.
  void ifTrue(Value condition, llvm::function_ref<void()> body) {
    auto guarded = mlir::scf::IfOp::create(*this, condition, /*withElseRegion=*/false);
    InsertionGuard guard(*this);
    setInsertionPointToStart(guarded.thenBlock());
    body();
  }

  /// Has `body` build what runs for every `step`-th number from `first` to below
  /// `end`.
  void forEach(Value first, Value end, int64_t step, llvm::function_ref<void(Value)> body) {
    auto loop = mlir::scf::ForOp::create(*this, first, end, constantLike(step, first));
    InsertionGuard guard(*this);
    setInsertionPointToStart(loop.getBody());
    body(loop.getInductionVar());
  }
};

} // namespace kvq

#endif // KVQ_LIB_LOWER_CODEBUILDER_H
