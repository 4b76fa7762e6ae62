//===- RegisterTensors.h - Tensors in other compilers' modules --*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_PIPELINES_REGISTERTENSORS_H
#define KVQ_LIB_PIPELINES_REGISTERTENSORS_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace kvq {

/// The dialects of a module on tensors, and what they need for bufferization.
void registerTensorDialects(mlir::DialectRegistry &registry);

/// Upstream's passes from tensors to loops and the LLVM dialect.
void registerTensorPasses();

} // namespace kvq

#endif // KVQ_LIB_PIPELINES_REGISTERTENSORS_H
