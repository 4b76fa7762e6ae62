//===- PlainNames.cpp - Names of files and symbols ------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Artefact/PlainNames.h"
#include "kvq/Artefact/ManifestReader.h"
#include <algorithm>

using namespace kvq;

static bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool isDigit(char c) { return c >= '0' && c <= '9'; }

bool kvq::isPlainFileName(std::string_view name) {
  auto isPlain = [](char c) {
    return isLetter(c) || isDigit(c) || c == '.' || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= ManifestLimits::fileName && name[0] != '.' &&
         name[0] != '-' && std::all_of(name.begin(), name.end(), isPlain);
}

bool kvq::isCIdentifier(std::string_view name) {
  auto isPart = [](char c) { return isLetter(c) || isDigit(c) || c == '_'; };
  return !name.empty() && !isDigit(name[0]) && std::all_of(name.begin(), name.end(), isPart);
}
