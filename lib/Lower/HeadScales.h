//===- HeadScales.h - Scales that differ from head to head ------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_LOWER_HEADSCALES_H
#define KVQ_LIB_LOWER_HEADSCALES_H

#include "CodeBuilder.h"
#include "kvq/Dialect/Kvq.h"

namespace kvq {

/// A scale of one number for each KV head, as an operand of a cache operation.
struct HeadScale {
  CacheOpInterface op;
  /// vector<Hxf32>.
  mlir::Value operand;
  /// An ArithmeticAttr for each head, all of one method; null where the operand
  /// is no constant.
  mlir::ArrayAttr arithmetic;

  /// `values`, a vector of float32 of head `head`, divided by the head's scale
  /// (`divides`) or multiplied with it. Constants that differ lie in a table in
  /// constant memory, from which each thread takes its head's.
  mlir::Value apply(CodeBuilder &builder, mlir::Value values, mlir::Value head, bool divides) const;
};

} // namespace kvq

#endif // KVQ_LIB_LOWER_HEADSCALES_H
