//===- ElementOps.cpp - Element-wise ops ----------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Dialect/Kvq.h"
#include "kvq/Numerics/Formats.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace kvq;

LogicalResult kvq::detail::verifyScaledOp(Operation *op) {
  auto scaled = cast<ScaledOpInterface>(op);
  ArrayAttr arithmetic = scaled.getArithmeticAttr();
  size_t numScales = scaled.getScaleOperands().size();
  if (arithmetic && arithmetic.size() != numScales)
    return op->emitOpError("expected one arithmetic a scale, but got ")
           << arithmetic.size() << " for " << numScales;
  if (!arithmetic)
    return success();
  for (auto [entry, scale] : llvm::zip_equal(arithmetic, scaled.getScaleOperands())) {
    auto several = dyn_cast<ArrayAttr>(entry);
    auto type = dyn_cast<VectorType>(scale.getType());
    if (!several && type && isa<CacheOpInterface>(op))
      return op->emitOpError("expected an arithmetic for each number of ")
             << type << ", but got one for all";
    if (!several)
      continue;
    if (!isa<CacheOpInterface>(op))
      return op->emitOpError("expected an arithmetic, but got an array of ") << several.size();
    if (!type || int64_t(several.size()) != type.getNumElements())
      return op->emitOpError("expected an arithmetic for each number of ")
             << scale.getType() << ", but got " << several.size();
    auto methods = llvm::map_range(several.getAsRange<ArithmeticAttr>(),
                                   [](ArithmeticAttr one) { return one.getMethod(); });
    if (!llvm::all_equal(methods))
      return op->emitOpError("expected one method for all numbers of a scale, but got several");
  }
  return success();
}

OperandRange QuantizeOp::getScaleOperands() { return getODSOperands(1); }
bool QuantizeOp::isQuantizing() { return true; }
Type QuantizeOp::getWideElementType() { return getElementTypeOrSelf(getInput()); }
Type QuantizeOp::getNarrowElementType() { return getElementTypeOrSelf(getResult()); }

OperandRange DequantizeOp::getScaleOperands() { return getODSOperands(1); }
bool DequantizeOp::isQuantizing() { return false; }
Type DequantizeOp::getWideElementType() { return getElementTypeOrSelf(getResult()); }
Type DequantizeOp::getNarrowElementType() { return getElementTypeOrSelf(getInput()); }

LogicalResult TranscodeOp::verify() {
  Type from = getInput().getType(), to = getResult().getType();
  Fp8Format format = *getFp8Format(getElementTypeOrSelf(from));
  auto partner = kvq::getType(getContext(), kvq::getInfo(format).partner);
  if (getElementTypeOrSelf(to) != partner)
    return emitOpError("expected a result of ") << partner << ", but got " << to;
  if (failed(verifyCompatibleShape(from, to)))
    return emitOpError("expected a result of the input's shape, but got ") << to;
  return success();
}

/// The input's type; the scale is a float32 unless its type follows.
static ParseResult parseOperandTypes(OpAsmParser &parser, Type &input, Type &scale) {
  scale = parser.getBuilder().getF32Type();
  if (failed(parser.parseType(input)))
    return failure();
  return succeeded(parser.parseOptionalComma()) ? parser.parseType(scale) : ParseResult::success();
}
static void printOperandTypes(OpAsmPrinter &printer, Operation *, Type input, Type scale) {
  printer << input;
  if (!scale.isF32())
    printer << ", " << scale;
}

#define GET_OP_CLASSES
#include "kvq/Dialect/KvqElementOps.cpp.inc"
