//===- HostCall.h - Calls of functions known by address ---------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_ARTEFACT_HOSTCALL_H
#define KVQ_ARTEFACT_HOSTCALL_H

#include <cstddef>
#include <cstdint>

namespace kvq {

/// Arguments that callHostKernel can pass.
inline constexpr size_t kMaxHostArguments = 64;

/// Calls a C function that returns void with `count` arguments, each a pointer or
/// an integer, of which the calling conventions of x86-64 and AArch64 take the low
/// bits. False, without a call, where there are more than kMaxHostArguments.
bool callHostKernel(void *function, const uint64_t *arguments, size_t count) noexcept;

} // namespace kvq

#endif // KVQ_ARTEFACT_HOSTCALL_H
