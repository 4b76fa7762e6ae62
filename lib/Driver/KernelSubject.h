//===- KernelSubject.h - What a host kernel is tested on  -------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_KERNELSUBJECT_H
#define KVQ_LIB_DRIVER_KERNELSUBJECT_H

#include "kvq/Artefact/Manifest.h"
#include "kvq/Dialect/Kvq.h"

namespace kvq {

/// A test stays within some memory, whatever the manifest says.
inline constexpr int64_t kMaxTestElements = 1 << 22;

/// Why an operation on queries is not run.
inline constexpr const char *kNoQueryHeads =
    "the manifest does not say how many query heads it has";

/// What a manifest's kernel is made for.
struct KernelSubject {
  CacheOpKind kind;
  SourceType source;
  CacheAttr cache;
};

/// The subject of a kernel of a manifest that may lie, or none and why not.
std::optional<KernelSubject> readSubject(const ManifestKernel &kernel, mlir::MLIRContext &context,
                                         std::string &notRun);

/// How many values of so many bytes make a test: all of one and two bytes, and of
/// float32 those of bf16 and as many others.
int64_t countTestValues(unsigned bytes);

/// The bits of the `count`-th of them, neighbours far apart.
uint64_t testValueAt(uint64_t count, unsigned bytes);

} // namespace kvq

#endif // KVQ_LIB_DRIVER_KERNELSUBJECT_H
