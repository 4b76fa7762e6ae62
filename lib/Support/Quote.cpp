//===- Quote.cpp - Names from files in one-line messages ------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Support/Quote.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;

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
