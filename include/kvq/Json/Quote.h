//===- Quote.h - Texts from files in one-line messages ----------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A file may name a tensor anything. Messages stay one readable line.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_JSON_QUOTE_H
#define KVQ_JSON_QUOTE_H

#include <string>
#include <string_view>

namespace kvq {

/// Whether `text` is UTF-8: no overlong forms, no surrogates, nothing beyond
/// U+10FFFF.
bool isUtf8(std::string_view text);

/// `text` on one line: control characters as '\xNN', and bytes that are no UTF-8
/// too, so that what goes into a JSON manifest is text.
std::string escapeText(std::string_view text);

/// `name` in single quotes, control characters as '\xNN', and the middle left
/// out where it is longer than 200 bytes.
std::string quoteName(std::string_view name);

} // namespace kvq

#endif // KVQ_JSON_QUOTE_H
