//===- PlainNames.h - Names of files and symbols ----------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_ARTEFACT_PLAINNAMES_H
#define KVQ_ARTEFACT_PLAINNAMES_H

#include <string_view>

namespace kvq {

/// Whether `name` can name a file of an artefact: letters, digits, '.', '_' and
/// '-', of which it starts with neither '.' nor '-'. So it names something in
/// the folder itself, whatever the file system.
bool isPlainFileName(std::string_view name);

/// Whether `name` is an identifier of C.
bool isCIdentifier(std::string_view name);

} // namespace kvq

#endif // KVQ_ARTEFACT_PLAINNAMES_H
