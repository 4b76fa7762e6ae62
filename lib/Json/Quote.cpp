//===- Quote.cpp - Texts from files in one-line messages ------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Json/Quote.h"

using namespace kvq;

/// The length of the well-formed sequence at the start of `text`; 0 for none.
/// Ranges of the second byte as in table 3-7 of the Unicode standard.
static size_t sequenceLength(std::string_view text) {
  auto byte = [&](size_t index) { return static_cast<unsigned char>(text[index]); };
  unsigned char lead = byte(0);
  if (lead < 0x80)
    return 1;
  size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length)
    return 0;
  unsigned char least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  unsigned char most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < least || byte(1) > most)
    return 0;
  for (size_t index = 2; index < length; ++index)
    if ((byte(index) & 0xc0) != 0x80)
      return 0;
  return length;
}

bool kvq::isUtf8(std::string_view text) {
  while (!text.empty()) {
    size_t length = sequenceLength(text);
    if (length == 0)
      return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string kvq::escapeText(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  bool legal = isUtf8(text);
  std::string result;
  for (unsigned char c : text) {
    if (c < 0x20 || c == 0x7f || (c >= 0x80 && !legal)) {
      result += "\\x";
      result += digits[c >> 4];
      result += digits[c & 15];
    } else {
      result += char(c);
    }
  }
  return result;
}

std::string kvq::quoteName(std::string_view name) {
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
  return "'" + escapeText(name.substr(0, head)) + "..." + escapeText(name.substr(tail)) + "'";
}
