//===- BuildIdentity.h - Which build of kvq this is -------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_BUILDIDENTITY_H
#define KVQ_LIB_DRIVER_BUILDIDENTITY_H

#include "llvm/ADT/StringRef.h"

namespace kvq {

/// A text that is the same in two processes only if they run the same code of
/// kvq, LLVM and MLIR; empty where that cannot be told.
llvm::StringRef getBuildIdentity();

} // namespace kvq

#endif // KVQ_LIB_DRIVER_BUILDIDENTITY_H
