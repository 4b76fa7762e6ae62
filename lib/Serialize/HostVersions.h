//===- HostVersions.h - Wider vectors where the CPU has them ----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_SERIALIZE_HOSTVERSIONS_H
#define KVQ_LIB_SERIALIZE_HOSTVERSIONS_H

#include "llvm/ADT/StringSet.h"

namespace llvm {
class Module;
} // namespace llvm

namespace kvq {

/// The object's byte that says whether kernels use the wider vectors; found out
/// when the object is loaded, and writable, so that a test can run either.
inline constexpr llvm::StringLiteral kWideVectorsSymbol = "kvq_wide_vectors";

/// On x86-64, gives each of `kernels` a second version for x86-64-v4 (AVX-512)
/// and makes the kernel itself choose between the two, by the byte above, which
/// the module declares.
void addWiderVersions(llvm::Module &module, const llvm::StringSet<> &kernels);

/// Defines the byte, with a constructor that asks CPUID once (Intel SDM, volume 1,
/// section 15.2); for one object of those that are linked, on x86-64.
void addDetection(llvm::Module &module);

} // namespace kvq

#endif // KVQ_LIB_SERIALIZE_HOSTVERSIONS_H
