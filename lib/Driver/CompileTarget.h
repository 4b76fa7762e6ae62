//===- CompileTarget.h - One target of a compilation ------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_COMPILETARGET_H
#define KVQ_LIB_DRIVER_COMPILETARGET_H

#include "kvq/Artefact/Manifest.h"
#include "kvq/Driver/Compile.h"
#include "kvq/Driver/Targets.h"
#include "kvq/Support/OutputDirectory.h"

namespace mlir {
class DialectRegistry;
class OpPassManager;
} // namespace mlir

namespace kvq {

/// What one target adds to an artefact.
struct CompiledTarget {
  ManifestTarget target;
  std::vector<ManifestKernel> kernels;
  /// In the layers' order, by (index, name).
  std::vector<ManifestLayerTarget> layers;
  std::vector<OutputFile> files;
  /// About the target as a whole.
  std::vector<std::string> warnings;
};

/// Compiles `input` for one target, in a context of its own: any number of
/// threads may do so at once.
llvm::Expected<CompiledTarget> compileTarget(const Input &input, const CompileOptions &options,
                                             const Target &target,
                                             const mlir::DialectRegistry &registry,
                                             Progress &progress);

/// Adds all passes of a target to `manager`, to be printed: those that load a
/// checkpoint too, whose paths are quoted as the text of a pipeline needs it.
void buildTargetPipeline(mlir::OpPassManager &manager, const CompileOptions &options,
                         const Target &target, bool isModule);

} // namespace kvq

#endif // KVQ_LIB_DRIVER_COMPILETARGET_H
