//===- HfConfig.h - config.json ---------------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A parsed config.json with the look-ups that geometry and formats share.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_CHECKPOINT_HFCONFIG_H
#define KVQ_CHECKPOINT_HFCONFIG_H

#include "kvq/Support/Json.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <optional>
#include <string>

namespace kvq {

/// Layers, heads and sizes lie in 1 ... 2^20.
constexpr int64_t maxCount = int64_t(1) << 20;

struct HfConfig {
  /// The path that messages name.
  std::string file;
  JsonValue root;

  /// The object that describes the language model: the whole, or its
  /// text_config and the like where the whole names no heads.
  const JsonValue &text() const;
  /// The quantisation's description, wherever writers put it; null for none.
  const JsonValue *quantization() const;
  /// The type of the language model, then that of the whole.
  llvm::StringRef textModelType() const;
  llvm::StringRef modelType() const;
  /// `dtype` or `torch_dtype`, at the top or in text().
  std::string dtype() const;

  /// The first of `names` that `object` has a value for. An error if it is no
  /// integer in 1 ... maxCount.
  llvm::Expected<std::optional<int64_t>> count(const JsonValue &object,
                                               llvm::ArrayRef<llvm::StringRef> names) const;
  /// The error "FILE: expected 'name' to be WHAT, but got VALUE".
  llvm::Error unexpected(llvm::StringRef name, const llvm::Twine &what, const JsonValue &got) const;
  llvm::Error error(const llvm::Twine &text) const;
};

/// Parses the text of the file at `file`.
llvm::Expected<HfConfig> parseHfConfig(llvm::StringRef text, llvm::StringRef file);

} // namespace kvq

#endif // KVQ_CHECKPOINT_HFCONFIG_H
