//===- Header.h - An artefact as C ------------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_ARTEFACT_HEADER_H
#define KVQ_ARTEFACT_HEADER_H

#include "kvq/Artefact/Manifest.h"

namespace kvq {

/// The file of an artefact that C and C++ programs include.
inline constexpr const char *kHeaderFile = "kvq_kernels.h";

/// The text of `kvq_kernels.h`, valid C99 and C++: for each target the layers'
/// scales and kernels as constants, and for each kernel a struct of its
/// arguments, its grid and block, and on the host its prototype.
std::string toHeaderText(const Manifest &manifest);

} // namespace kvq

#endif // KVQ_ARTEFACT_HEADER_H
