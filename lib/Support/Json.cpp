//===- Json.cpp - JSON with LLVM's errors ---------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Support/Json.h"

using namespace llvm;

Error kvq::toError(const Failure &failure) {
  return createStringError(inconvertibleErrorCode(), Twine(failure.text));
}

Error kvq::readJson(StringRef text, JsonHandler &handler, const JsonOptions &options) {
  Status status = readJsonText(text, handler, options);
  return status ? Error::success() : toError(status.failure());
}

Expected<kvq::JsonValue> kvq::parseJson(StringRef text, const JsonOptions &options) {
  Result<JsonValue> value = parseJsonText(text, options);
  if (!value)
    return toError(value.failure());
  return std::move(*value);
}
