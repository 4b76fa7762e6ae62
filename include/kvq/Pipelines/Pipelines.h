//===- Pipelines.h - From layers to the target's dialect --------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_PIPELINES_PIPELINES_H
#define KVQ_PIPELINES_PIPELINES_H

#include "kvq/Passes.h"

namespace mlir {
class DialectRegistry;
class OpPassManager;
} // namespace mlir

namespace kvq {

/// What the kernels of a pipeline are made for: the options of the passes
/// `kvq-resolve-scales` and `kvq-generate-kernels`, with their defaults.
struct KernelOptions : ResolveScalesPassOptions, GenerateKernelsPassOptions {};

/// The parts that the three pipelines share: resolved layers, kernels, folded
/// scales. `chip` and `fnuz` take effect unless the module has been resolved.
void buildResolvePipeline(mlir::OpPassManager &manager, const KernelOptions &options);
void buildGeneratePipeline(mlir::OpPassManager &manager, const KernelOptions &options);
void buildFoldPipeline(mlir::OpPassManager &manager);

/// From folded kernels to the dialect of a backend, ready for serialisation.
/// `chip` may be empty; upstream's conversion to ROCDL takes it for granted
/// then that nothing in the kernels depends on the chip any more.
void buildLowerPipeline(mlir::OpPassManager &manager, Backend backend, llvm::StringRef chip);

/// Everything that kvq-opt knows: dialects, their extensions and translations.
void registerDialects(mlir::DialectRegistry &registry);

/// kvq's passes and pipelines and the upstream passes that they are made of.
void registerPasses();

} // namespace kvq

#endif // KVQ_PIPELINES_PIPELINES_H
