//===- KernelName.h - Symbols of kernels ------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_GENERATE_KERNELNAME_H
#define KVQ_GENERATE_KERNELNAME_H

#include "kvq/Dialect/Kvq.h"

namespace kvq {

/// The symbol of a kernel, a C identifier that says all that tells it from
/// others: operation, layout, types, geometry and the bits of the folded
/// `scales` (none where they are arguments). Equal kernels have equal names, in
/// whatever order they are made.
std::string getKernelName(const CacheKernelSpec &spec, llvm::ArrayRef<mlir::Attribute> scales);

/// What tells a kernel of an operation of a layer from the operation's first one,
/// `named`: 'align4', 'dynamic' where its scales are arguments, 'align4_dynamic';
/// empty of the first itself.
std::string getVariantName(const CacheKernelSpec &named, const CacheKernelSpec &spec);

} // namespace kvq

#endif // KVQ_GENERATE_KERNELNAME_H
