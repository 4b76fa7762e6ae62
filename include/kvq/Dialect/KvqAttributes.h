//===- KvqAttributes.h - The kvq dialect and its attributes -----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DIALECT_KVQATTRIBUTES_H
#define KVQ_DIALECT_KVQATTRIBUTES_H

#include "kvq/Dialect/Layout.h"
#include "kvq/Support/Names.h"
#include "kvq/Target/ChipInfo.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"

namespace kvq {

/// Parses a word of Names.def; anything else is an error that lists the words.
template <typename Enum> mlir::FailureOr<Enum> parseName(mlir::AsmParser &parser) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  std::string word;
  if (mlir::failed(parser.parseKeywordOrString(&word)))
    return mlir::failure();
  if (std::optional<Enum> value = symbolize<Enum>(word))
    return *value;
  parser.emitError(loc) << "expected " << describe<Enum>() << " to be one of " << listNames<Enum>()
                        << ", but got '" << word << "'";
  return mlir::failure();
}

/// The custom directive Name of attributes: a parameter that is such a word.
template <typename Enum> mlir::ParseResult parseName(mlir::AsmParser &parser, Enum &value) {
  mlir::FailureOr<Enum> parsed = parseName<Enum>(parser);
  if (mlir::failed(parsed))
    return mlir::failure();
  value = *parsed;
  return mlir::success();
}
template <typename Enum> void printName(mlir::AsmPrinter &printer, Enum value) {
  printer << stringify(value);
}

} // namespace kvq

#include "kvq/Dialect/KvqDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "kvq/Dialect/KvqAttrs.h.inc"

namespace kvq {

/// Holds that a size is from `least` to 2^20: positive, and small enough for
/// products of three of them to stay within 64 bits.
mlir::LogicalResult verifySize(llvm::function_ref<mlir::InFlightDiagnostic()> emitError,
                               llvm::StringRef name, int64_t value, int64_t least = 1);

} // namespace kvq

#endif // KVQ_DIALECT_KVQATTRIBUTES_H
