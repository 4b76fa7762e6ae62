//===- Compile.h - What kvqc compile does -----------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DRIVER_COMPILE_H
#define KVQ_DRIVER_COMPILE_H

#include "kvq/Driver/Input.h"
#include "kvq/Driver/Progress.h"

namespace kvq {

/// Name and version of this compiler, as in 'kvq 0.1.0'.
llvm::StringRef getProducer();

/// What kernels are asked for; the defaults are those of the passes.
struct CompileOptions {
  InputOptions input;
  /// Chips' names; none for the module's own target, or the host.
  std::vector<std::string> targets;
  bool fnuz = false;
  std::vector<CacheOpKind> ops = {CacheOpKind::Store, CacheOpKind::Load};
  LayoutKind layout = LayoutKind::NHD;
  int64_t blockSize = 16, align = 16, tensorParallelSize = 1;
  Bounds bounds = Bounds::Check;
  SlotType slotType = SlotType::I64;
  /// A slot that is skipped; negative ones are in any case.
  int64_t paddingSlot = -1;
  /// What compute_scales divides maxima of q, k and v by.
  double qScaleConstant = 200, kScaleConstant = 200, vScaleConstant = 100;
  ScalesMode scales = ScalesMode::Fold;
  /// Targets compiled at a time; 0 for as many as there are cores.
  unsigned jobs = 0;
};

/// What a compilation has to say beside its output, a line each.
struct CompileReport {
  std::vector<std::string> warnings;
};

/// The pass pipeline of each target, as `kvq-opt --pass-pipeline` takes it: from
/// `kvq-load-scales` on, or from `kvq-resolve-scales` where the input is a
/// module.
llvm::Expected<std::vector<std::string>> describePipelines(const CompileOptions &options);

/// Whether `folder` can be written, so that one knows before the work is done.
llvm::Error checkArtefactFolder(llvm::StringRef folder);

/// Compiles the input for each target, side by side, and writes the artefact
/// `folder`. Nothing is left there in case of an error, which is one line.
llvm::Expected<CompileReport> compile(const CompileOptions &options, llvm::StringRef folder,
                                      Progress &progress);

} // namespace kvq

#endif // KVQ_DRIVER_COMPILE_H
