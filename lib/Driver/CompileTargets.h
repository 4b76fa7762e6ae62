//===- CompileTargets.h - All targets of a compilation ----------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_COMPILETARGETS_H
#define KVQ_LIB_DRIVER_COMPILETARGETS_H

#include "CompileTarget.h"

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace kvq {

/// The targets of a compilation, compiled or found in the cache.
struct CompiledTargets {
  /// In the order of the targets.
  std::vector<CompiledTarget> targets;
  /// The kernels that no cache had.
  size_t kernelsBuilt = 0;
};

/// Compiles `input`, whose module without places in files is `text`, for every
/// target with the threads, the cache and the options that `options` names. In case of errors it is
/// the first in the order of targets and kernels, whichever was met first.
llvm::Expected<CompiledTargets> compileTargets(const Input &input, llvm::StringRef text,
                                               const CompileOptions &options,
                                               llvm::ArrayRef<Target> targets,
                                               const mlir::DialectRegistry &registry,
                                               Progress &progress);

} // namespace kvq

#endif // KVQ_LIB_DRIVER_COMPILETARGETS_H
