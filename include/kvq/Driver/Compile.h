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
#include "kvq/Pipelines/Pipelines.h"

namespace kvq {

/// Name and version of this compiler, as in 'kvq 0.1.0'.
llvm::StringRef getProducer();

/// Where compiled kernels are kept for the next time, and how many bytes of them.
struct CacheOptions {
  /// Made if it is absent; empty for no cache.
  std::string folder;
  uint64_t sizeLimit = uint64_t(1) << 30;
};

/// The folder of a user's cache: KVQ_CACHE_DIR where it is set, else 'kvq' in
/// XDG_CACHE_HOME or in '.cache' of HOME; empty where there is none of them, or
/// KVQ_CACHE_DIR is empty.
std::string getDefaultCacheFolder();

/// What kernels are asked for.
struct CompileOptions {
  /// `store` and `load` with the usual alignment, for the host.
  CompileOptions();

  InputOptions input;
  /// Chips' names; none for the module's own target, or the host.
  std::vector<std::string> targets;
  /// The options of the passes. `chip` is each target's in turn, `fnuz` is for
  /// the host among them.
  KernelOptions kernels;
  /// Keep each target's module with its resolved scales beside the code objects.
  bool saveTemps = false;
  /// Threads that compile; 0 for as many as there are cores.
  unsigned jobs = 0;
  CacheOptions cache;
};

/// What a compilation has to say beside its output, a line each.
struct CompileReport {
  std::vector<std::string> warnings;
  /// The kernels of all targets, and those of them that no cache had.
  size_t kernels = 0, kernelsBuilt = 0;
};

/// The pass pipeline of each target, as `kvq-opt --pass-pipeline` takes it: from
/// `kvq-load-scales` on, or from `kvq-resolve-scales` where the input is a
/// module.
llvm::Expected<std::vector<std::string>> describePipelines(const CompileOptions &options);

/// Whether `folder` can be written, so that one knows before the work is done.
llvm::Error checkArtefactFolder(llvm::StringRef folder);

/// Compiles the input for each target, kernels side by side, and writes the
/// artefact `folder`, the same whatever a cache holds. Nothing is left there in case of an error,
/// which is one line.
llvm::Expected<CompileReport> compile(const CompileOptions &options, llvm::StringRef folder,
                                      Progress &progress);

} // namespace kvq

#endif // KVQ_DRIVER_COMPILE_H
