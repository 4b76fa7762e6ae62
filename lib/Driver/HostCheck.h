//===- HostCheck.h - Host kernels against the reference ---------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_HOSTCHECK_H
#define KVQ_LIB_DRIVER_HOSTCHECK_H

#include "kvq/Artefact/Manifest.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/Error.h"
#include <map>

namespace kvq {

/// What a run of a host kernel showed.
struct HostCheck {
  /// Values that were held to the reference.
  uint64_t numValues = 0;
  /// Why it was not run; empty if it was.
  std::string notRun;
};

/// Runs the function of a host kernel on every value of a 16-bit source type (of
/// f32 those of bf16 and as many others) or on every code, and compares all bits
/// of the memory that it was given with the reference; of a NaN only that it is
/// one counts. The error is the first difference.
llvm::Expected<HostCheck> checkHostKernel(const ManifestKernel &kernel, void *function,
                                          mlir::MLIRContext &context);

/// The values of a kernel's arguments in order, found by their names; or why they
/// cannot be given.
std::string collectArguments(const ManifestKernel &kernel,
                             const std::map<std::string, int64_t> &arguments,
                             llvm::SmallVectorImpl<int64_t> &values);

} // namespace kvq

#endif // KVQ_LIB_DRIVER_HOSTCHECK_H
