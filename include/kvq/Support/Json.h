//===- Json.h - JSON with LLVM's errors -------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The reader of kvq/Json for the libraries over LLVM.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_SUPPORT_JSON_H
#define KVQ_SUPPORT_JSON_H

#include "kvq/Json/Json.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace kvq {

/// A failure of the libraries without LLVM as an error of the same text.
llvm::Error toError(const Failure &failure);

/// readJsonText, with its failure as an error.
llvm::Error readJson(llvm::StringRef text, JsonHandler &handler, const JsonOptions &options = {});

/// parseJsonText, with its failure as an error.
llvm::Expected<JsonValue> parseJson(llvm::StringRef text, const JsonOptions &options = {});

} // namespace kvq

#endif // KVQ_SUPPORT_JSON_H
