//===- HostCall.h - Calls of functions known by address ---------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_HOSTCALL_H
#define KVQ_LIB_DRIVER_HOSTCALL_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>

namespace kvq {

/// Arguments that callHostKernel can pass.
constexpr size_t maxHostArguments = 64;

/// Calls a C function that returns void with `arguments`, each a pointer or an
/// integer, of which the calling conventions of x86-64 and AArch64 take the low
/// bits. False, without a call, where there are more than maxHostArguments.
bool callHostKernel(void *function, llvm::ArrayRef<int64_t> arguments);

} // namespace kvq

#endif // KVQ_LIB_DRIVER_HOSTCALL_H
