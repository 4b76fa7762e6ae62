//===- Kvq.h - The kvq dialect ----------------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DIALECT_KVQ_H
#define KVQ_DIALECT_KVQ_H

#include "kvq/Dialect/CacheKernel.h"
#include "kvq/Dialect/KvqAttributes.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/LLVMIR/LLVMTypes.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace kvq::detail {

/// Holds what every ScaledOpInterface must: as many entries of arithmetic as
/// scales.
mlir::LogicalResult verifyScaledOp(mlir::Operation *op);

/// Holds every CacheOpInterface to the arguments that its attributes ask for.
mlir::LogicalResult verifyCacheOp(mlir::Operation *op);

/// Holds a layout to the sizes of a cache.
mlir::LogicalResult verifyLayout(llvm::function_ref<mlir::InFlightDiagnostic()> emitError,
                                 LayoutAttr layout, mlir::Type element, int64_t blockSize,
                                 int64_t kvHeads, int64_t headSize, int64_t kvLoraRank);

} // namespace kvq::detail

#include "kvq/Dialect/KvqInterfaces.h.inc"

namespace kvq {

/// Whether `attr` can be a raw scale: a float32 number, or a dense tensor of at
/// least one.
bool isRawScale(mlir::Attribute attr);

/// The numbers of a scale: one, or those of a dense tensor in order.
llvm::SmallVector<float> getScaleNumbers(mlir::Attribute scale);

/// The type of a resolved scale as a value: f32, or a vector of it.
mlir::Type getScaleType(mlir::Attribute scale);

/// The custom directive Word: an attribute that is a word of Names.def, bare.
template <typename Attr> mlir::ParseResult parseWord(mlir::OpAsmParser &parser, Attr &attr) {
  using Enum = decltype(attr.getValue());
  mlir::FailureOr<Enum> value = parseName<Enum>(parser);
  if (mlir::failed(value))
    return mlir::failure();
  attr = Attr::get(parser.getContext(), *value);
  return mlir::success();
}
template <typename Attr> void printWord(mlir::OpAsmPrinter &printer, mlir::Operation *, Attr attr) {
  printer << stringify(attr.getValue());
}

} // namespace kvq

#define GET_OP_CLASSES
#include "kvq/Dialect/KvqOps.h.inc"

namespace kvq {

/// The FP8 format of an MLIR type, if it is one.
std::optional<Fp8Format> getFp8Format(mlir::Type type);

/// The MLIR type of an FP8 format or a source type.
mlir::FloatType getType(mlir::MLIRContext *context, Fp8Format format);
mlir::FloatType getType(mlir::MLIRContext *context, SourceType source);

/// The source type of an MLIR type, if kvq has kernels for it.
std::optional<SourceType> getSourceType(mlir::Type type);

/// The target of the module that `op` is or lies in: that of the innermost
/// enclosing op that has one; null if none has.
TargetAttr getTarget(mlir::Operation *op);

/// The target of `op`, or an error on it that says which pass sets it.
mlir::FailureOr<TargetAttr> requireTarget(mlir::Operation *op);

} // namespace kvq

#endif // KVQ_DIALECT_KVQ_H
