//===- Quote.cpp - Names from files in one-line messages ------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Support/Quote.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/ConvertUTF.h"

using namespace llvm;

std::string kvq::escapeText(StringRef text) {
  const auto *begin = reinterpret_cast<const UTF8 *>(text.begin());
  const auto *end = reinterpret_cast<const UTF8 *>(text.end());
  bool legal = isLegalUTF8String(&begin, end);
  std::string result;
  for (unsigned char c : text) {
    if (c < 0x20 || c == 0x7f || (c >= 0x80 && !legal)) {
      result += "\\x";
      result += hexdigit(c >> 4, /*LowerCase=*/true);
      result += hexdigit(c & 15, /*LowerCase=*/true);
    } else {
      result += char(c);
    }
  }
  return result;
}

std::string kvq::quoteName(StringRef name) {
  constexpr size_t limit = 200;
  if (name.size() <= limit)
    return "'" + escapeText(name) + "'";
  // Cut between characters, not within one.
  auto isContinuation = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  size_t head = limit / 2, tail = name.size() - limit / 2;
  while (head > 0 && isContinuation(name[head]))
    --head;
  while (tail < name.size() && isContinuation(name[tail]))
    ++tail;
  return "'" + escapeText(name.take_front(head)) + "..." + escapeText(name.drop_front(tail)) + "'";
}

std::string kvq::quoteNames(ArrayRef<std::string> names, size_t limit) {
  std::string text;
  for (const std::string &name : names.take_front(limit))
    text += (text.empty() ? "" : ", ") + quoteName(name);
  if (names.size() > limit)
    text += " and " + utostr(names.size() - limit) + " more";
  return text;
}

Error kvq::fileError(StringRef file, const Twine &text) {
  return createStringError(inconvertibleErrorCode(), escapeText(file) + ": " + text);
}
