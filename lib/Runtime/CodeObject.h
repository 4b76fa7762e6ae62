//===- CodeObject.h - Whether a code object is whole ------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_RUNTIME_CODEOBJECT_H
#define KVQ_LIB_RUNTIME_CODEOBJECT_H

#include "CodeChoice.h"

namespace kvq::runtime {

/// Throws where the bytes of `choice` are not what its kind says, or end before
/// their tables say: drivers and the dynamic linker take an address without a
/// size and would read on. Hashes guard against accidents; this is for a manifest
/// that was written for damaged code.
void checkCodeObject(const CodeChoice &choice, const std::string &bytes);

} // namespace kvq::runtime

#endif // KVQ_LIB_RUNTIME_CODEOBJECT_H
