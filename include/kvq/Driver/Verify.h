//===- Verify.h - What kvqc verify does -------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DRIVER_VERIFY_H
#define KVQ_DRIVER_VERIFY_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace kvq {

/// Checks the artefact in `folder`: its schema, the hash of every file, that no
/// other file is there, that each kernel is in its target's code objects and
/// takes the manifest's arguments, as far as the objects tell. With `runs`, host
/// kernels are loaded, after all that, and held to the reference. Gives what was
/// checked and what was not, in lines; the first fault is the error.
llvm::Expected<std::string> verifyArtefact(llvm::StringRef folder, bool runs);

} // namespace kvq

#endif // KVQ_DRIVER_VERIFY_H
