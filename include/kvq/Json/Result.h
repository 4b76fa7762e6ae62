//===- Result.h - A value or what went wrong --------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For the libraries without LLVM; Support/Json.h turns a failure into an
// llvm::Error.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_JSON_RESULT_H
#define KVQ_JSON_RESULT_H

#include <string>
#include <utility>
#include <variant>

namespace kvq {

/// What went wrong, in one line.
struct Failure {
  std::string text;
};

/// A T or a Failure. True for a T, which * and -> give.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : content(std::in_place_index<0>, std::move(value)) {}
  Result(Failure failure) : content(std::in_place_index<1>, std::move(failure)) {}

  explicit operator bool() const { return content.index() == 0; }
  T &operator*() { return *std::get_if<0>(&content); }
  const T &operator*() const { return *std::get_if<0>(&content); }
  T *operator->() { return std::get_if<0>(&content); }
  const T *operator->() const { return std::get_if<0>(&content); }

  /// Only for a failure.
  const Failure &failure() const { return *std::get_if<1>(&content); }
  const std::string &error() const { return failure().text; }

private:
  std::variant<T, Failure> content;
};

/// Success, or a Failure.
using Status = Result<std::monostate>;

inline Status success() { return std::monostate(); }

} // namespace kvq

#endif // KVQ_JSON_RESULT_H
