//===- Diff.h - What kvqc diff does -----------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DRIVER_DIFF_H
#define KVQ_DRIVER_DIFF_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace kvq {

/// What differs between two artefacts, a line each, by target and layer; nothing
/// where they are equal to the byte. All files of both are read and hashed. An
/// error if one of them cannot be.
llvm::Expected<std::vector<std::string>> diffArtefacts(llvm::StringRef before,
                                                       llvm::StringRef after);

} // namespace kvq

#endif // KVQ_DRIVER_DIFF_H
