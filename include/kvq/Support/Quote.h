//===- Quote.h - Names from files in one-line messages ----------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// kvq/Json/Quote.h and what needs LLVM.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_SUPPORT_QUOTE_H
#define KVQ_SUPPORT_QUOTE_H

#include "kvq/Json/Quote.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace kvq {

/// Names for a note, quoted and separated by commas: all of them up to `limit`,
/// else the first ones and how many more there are.
std::string quoteNames(llvm::ArrayRef<std::string> names, size_t limit = 8);

/// "FILE: text" as an error; `file` as the user wrote it.
llvm::Error fileError(llvm::StringRef file, const llvm::Twine &text);

} // namespace kvq

#endif // KVQ_SUPPORT_QUOTE_H
