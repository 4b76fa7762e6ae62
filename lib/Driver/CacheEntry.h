//===- CacheEntry.h - Compiled kernels as bytes -----------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_CACHEENTRY_H
#define KVQ_LIB_DRIVER_CACHEENTRY_H

#include "CompileTarget.h"

namespace kvq {

/// The bytes that the cache keeps of a unit or a target.
std::string encode(const CompiledUnit &unit);
std::string encode(const CompiledTarget &target);

/// Reads what `encode` wrote; whether it was that.
bool decode(llvm::StringRef bytes, CompiledUnit &unit);
bool decode(llvm::StringRef bytes, CompiledTarget &target);

/// The options of the passes as bytes.
std::string encodeForKey(const KernelOptions &options);

} // namespace kvq

#endif // KVQ_LIB_DRIVER_CACHEENTRY_H
