//===- CompileTarget.h - One target of a compilation ------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A target is compiled in three steps: its kernels are generated, in units; each
// unit is compiled; the units are linked. The steps of different targets, and the
// units of one, may run in any threads.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_COMPILETARGET_H
#define KVQ_LIB_DRIVER_COMPILETARGET_H

#include "KernelUnits.h"
#include "kvq/Artefact/Manifest.h"
#include "kvq/Driver/Compile.h"
#include "kvq/Driver/Targets.h"
#include "kvq/Support/OutputDirectory.h"

namespace mlir {
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

/// What a unit becomes.
struct CompiledUnit {
  /// In the order of the unit.
  std::vector<ManifestKernel> kernels;
  /// For an NVVM chip.
  std::string ptx;
  /// An object to be linked; none where PTX cannot be assembled in parts.
  std::string object;
};

/// A target whose kernels are not compiled yet.
struct GeneratedTarget {
  /// Without kernels and files.
  CompiledTarget result;
  std::vector<KernelUnit> units;
  size_t numKernels = 0;
};

/// The options of the passes for one of the targets.
KernelOptions optionsFor(const Target &target, KernelOptions options);

/// Resolves the layers of `input` for a target and generates their kernels.
llvm::Expected<GeneratedTarget> generateTarget(const Input &input, const CompileOptions &options,
                                               const Target &target, mlir::MLIRContext &context);

/// Compiles a unit. With `inParts` the PTX of an NVVM chip is assembled.
llvm::Expected<CompiledUnit> compileUnit(const KernelUnit &unit, const Target &target, bool inParts,
                                         mlir::MLIRContext &context);

/// Makes the files of a target of all its units.
llvm::Expected<CompiledTarget> linkTarget(GeneratedTarget generated,
                                          std::vector<CompiledUnit> compiled, const Target &target,
                                          bool inParts);

/// Adds all passes of a target to `manager`, to be printed: those that load a
/// checkpoint too, whose paths are quoted as the text of a pipeline needs it.
void buildTargetPipeline(mlir::OpPassManager &manager, const CompileOptions &options,
                         const Target &target, bool isModule);

} // namespace kvq

#endif // KVQ_LIB_DRIVER_COMPILETARGET_H
