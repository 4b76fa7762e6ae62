//===- HostMaxima.h - compute_scales against the reference  -----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_HOSTMAXIMA_H
#define KVQ_LIB_DRIVER_HOSTMAXIMA_H

#include "HostCheck.h"
#include "KernelSubject.h"

namespace kvq {

/// Runs a host kernel of `compute_scales` on rows in which one element at a time is
/// another value than zero, and compares the scales with the reference. Unless rows
/// are very long every place and every value has its turn.
llvm::Expected<HostCheck> checkMaxima(const ManifestKernel &kernel, const KernelSubject &subject,
                                      void *function);

} // namespace kvq

#endif // KVQ_LIB_DRIVER_HOSTMAXIMA_H
