//===- Kvq.cpp - The kvq dialect ------------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Dialect/Kvq.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;
using namespace kvq;

#include "kvq/Dialect/KvqDialect.cpp.inc"

#include "kvq/Dialect/KvqInterfaces.cpp.inc"

void KvqDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "kvq/Dialect/KvqCacheOps.cpp.inc"
      ,
#define GET_OP_LIST
#include "kvq/Dialect/KvqElementOps.cpp.inc"
      ,
#define GET_OP_LIST
#include "kvq/Dialect/KvqModelOps.cpp.inc"
      >();
}

/// Checks the dictionary that says where a module's layers came from.
static LogicalResult verifyCheckpoint(Operation *op, Attribute value) {
  auto dictionary = dyn_cast<DictionaryAttr>(value);
  if (!dictionary)
    return op->emitOpError("expected '")
           << KvqDialect::kCheckpointAttrName << "' to be a dictionary, but got " << value;
  for (NamedAttribute entry : dictionary) {
    StringRef name = entry.getName();
    bool isText = name == "format" || name == "model_type" || name == "sha256";
    bool isList = name == "notes" || name == "unused";
    if (!isText && !isList)
      return op->emitOpError("expected '")
             << KvqDialect::kCheckpointAttrName
             << "' to hold 'format', 'model_type', 'sha256', 'notes' and 'unused', but got '"
             << name << "'";
    auto list = dyn_cast<ArrayAttr>(entry.getValue());
    if (isText ? !isa<StringAttr>(entry.getValue())
               : !list || !llvm::all_of(list, llvm::IsaPred<StringAttr>))
      return op->emitOpError("expected '") << name << "' of '" << KvqDialect::kCheckpointAttrName
                                           << "' to be " << (isText ? "a string" : "strings");
  }
  auto format = dictionary.getAs<StringAttr>("format");
  if (format && !symbolize<CheckpointFormat>(format.getValue()))
    return op->emitOpError("expected 'format' of '")
           << KvqDialect::kCheckpointAttrName << "' to be one of " << listNames<CheckpointFormat>()
           << ", but got '" << format.getValue() << "'";
  return success();
}

LogicalResult KvqDialect::verifyOperationAttribute(Operation *op, NamedAttribute attr) {
  if (attr.getName() == kTargetAttrName) {
    if (!isa<TargetAttr>(attr.getValue()))
      return op->emitOpError("expected '")
             << kTargetAttrName << "' to be a '#kvq.target', but got " << attr.getValue();
    return success();
  }
  if (attr.getName() == kCheckpointAttrName)
    return verifyCheckpoint(op, attr.getValue());
  return op->emitOpError("expected '") << kTargetAttrName << "' or '" << kCheckpointAttrName
                                       << "', but got '" << attr.getName().getValue() << "'";
}

TargetAttr kvq::getTarget(Operation *op) {
  for (; op; op = op->getParentOp())
    if (auto target = op->getAttrOfType<TargetAttr>(KvqDialect::kTargetAttrName))
      return target;
  return {};
}

FailureOr<TargetAttr> kvq::requireTarget(Operation *op) {
  if (TargetAttr target = getTarget(op))
    return target;
  return op->emitError("expected a module with the attribute '")
         << KvqDialect::kTargetAttrName << "'; run 'kvq-resolve-scales{chip=...}' first";
}
