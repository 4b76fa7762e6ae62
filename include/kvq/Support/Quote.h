//===- Quote.h - Names from files in one-line messages ----------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A file may name a tensor anything. Messages stay one readable line.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_SUPPORT_QUOTE_H
#define KVQ_SUPPORT_QUOTE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace kvq {

/// `text` on one line: control characters as '\xNN', and bytes that are no UTF-8
/// too, so that what goes into a JSON manifest is text.
std::string escapeText(llvm::StringRef text);

/// `name` in single quotes, control characters as '\xNN', and the middle left
/// out where it is longer than 200 bytes.
std::string quoteName(llvm::StringRef name);

/// Names for a note, quoted and separated by commas: all of them up to `limit`,
/// else the first ones and how many more there are.
std::string quoteNames(llvm::ArrayRef<std::string> names, size_t limit = 8);

/// "FILE: text" as an error; `file` as the user wrote it.
llvm::Error fileError(llvm::StringRef file, const llvm::Twine &text);

} // namespace kvq

#endif // KVQ_SUPPORT_QUOTE_H
