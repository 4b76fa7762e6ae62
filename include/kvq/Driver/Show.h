//===- Show.h - What kvqc show does -----------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DRIVER_SHOW_H
#define KVQ_DRIVER_SHOW_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace kvq {

/// What is inside an artefact.
struct Showing {
  std::string text;
  /// What is wrong with its files, a line each.
  std::vector<std::string> errors;
};

/// Describes the artefact in `folder` as tables, or with `asJson` as the text of
/// its manifest, written anew from what was read of it. All of its files are
/// read and hashed. An error if the manifest is not to be read.
llvm::Expected<Showing> showArtefact(llvm::StringRef folder, bool asJson);

} // namespace kvq

#endif // KVQ_DRIVER_SHOW_H
