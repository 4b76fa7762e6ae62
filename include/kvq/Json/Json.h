//===- Json.h - Strict JSON from files that may lie -------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// RFC 8259 and nothing beyond: no byte-order mark, comments, trailing commas or
// NUL bytes, no key twice in an object, bounded nesting. Built on nlohmann's
// event interface, which keeps its own stack, so that depth costs no recursion.
// Numbers keep how they were written: '1', '1.0' and '-0' differ.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_JSON_JSON_H
#define KVQ_JSON_JSON_H

#include "kvq/Json/Result.h"
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvq {

/// How a number was written and what it is.
struct JsonNumber {
  /// Set for a natural number below 2^64 written as plain digits.
  std::optional<uint64_t> natural;
  /// The nearest double; not a number for NaN where the options allow it.
  double value = 0;
  /// The nearest float32, which need not be that of the nearest double.
  float single = 0;
};

struct JsonOptions {
  /// Objects and arrays within each other.
  unsigned maxDepth = 64;
  /// Accept the literals NaN, Infinity and -Infinity, which Python's json
  /// writes.
  bool allowNonFinite = false;
};

/// What the reader calls, in the text's order. A handler returns false to stop
/// and leaves the reason in `problem`, which the reader completes by the place.
class JsonHandler {
public:
  virtual ~JsonHandler();
  virtual bool null() = 0;
  virtual bool boolean(bool value) = 0;
  virtual bool number(const JsonNumber &value) = 0;
  virtual bool string(std::string &value) = 0;
  virtual bool beginObject() = 0;
  virtual bool key(std::string &name) = 0;
  virtual bool endObject() = 0;
  virtual bool beginArray() = 0;
  virtual bool endArray() = 0;

  std::string problem;
};

/// Reads `text` into `handler`. Duplicate keys are the handler's business. The
/// error says what is wrong and at which byte; the caller adds the file.
Status readJsonText(std::string_view text, JsonHandler &handler, const JsonOptions &options = {});

/// A parsed value. Objects keep the file's order; their keys are unique.
class JsonValue {
public:
  enum class Kind : uint8_t { Null, Bool, Number, String, Object, Array };
  using Member = std::pair<std::string, JsonValue>;

  Kind kind = Kind::Null;
  bool boolean = false;
  JsonNumber number;
  std::string string;
  std::vector<Member> members;
  std::vector<JsonValue> elements;

  bool isNull() const { return kind == Kind::Null; }
  bool isString() const { return kind == Kind::String; }
  bool isObject() const { return kind == Kind::Object; }
  bool isArray() const { return kind == Kind::Array; }

  /// The member of that name; null for none, or where this is no object.
  const JsonValue *find(std::string_view name) const;
  /// The same, but null for a member whose value is null too.
  const JsonValue *findValue(std::string_view name) const;
  /// The member's text; empty unless it is a string.
  std::string_view findString(std::string_view name) const;
  /// 'an object', 'a number' and so on, for messages.
  std::string_view describe() const;
};

/// Parses a whole document. A key that an object has twice is an error.
Result<JsonValue> parseJsonText(std::string_view text, const JsonOptions &options = {});

} // namespace kvq

#endif // KVQ_JSON_JSON_H
