//===- JsonFields.cpp - Values of a document, checked ---------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JsonFields.h"
#include "kvq/Json/Quote.h"
#include <cmath>
#include <cstdio>

using namespace kvq;

std::string JsonPlace::describe() const {
  if (!parent)
    return "";
  std::string before = parent->describe();
  if (parent->value.isArray())
    return before + "[" + std::to_string(index) + "]";
  // A key is a name that kvq knows, or that of a target, an operation or a file.
  std::string quoted = quoteName(key);
  std::string name = quoted.substr(1, quoted.size() - 2);
  return before.empty() ? name : before + "." + name;
}

/// How a value stands in a message.
static std::string describeValue(const JsonValue &value) {
  switch (value.kind) {
  case JsonValue::Kind::Number: {
    if (value.number.natural)
      return std::to_string(*value.number.natural);
    char buffer[32];
    std::snprintf(buffer, sizeof(buffer), "%.9g", value.number.value);
    return buffer;
  }
  case JsonValue::Kind::Bool:
    return value.boolean ? "true" : "false";
  case JsonValue::Kind::String:
    return quoteName(value.string);
  default:
    return std::string(value.describe());
  }
}

bool JsonFields::fail(const JsonPlace &place, const std::string &text) {
  std::string where = place.describe();
  problem = where.empty() ? text : where + ": " + text;
  return false;
}

bool JsonFields::unexpected(const JsonPlace &place, const std::string &what) {
  return fail(place, "expected " + what + ", but got " + describeValue(place.value));
}

bool JsonFields::object(const JsonPlace &place) {
  return place.value.isObject() || unexpected(place, "an object");
}

bool JsonFields::array(const JsonPlace &place) {
  return place.value.isArray() || unexpected(place, "an array");
}

bool JsonFields::boolean(const JsonPlace &place, bool &result) {
  if (place.value.kind != JsonValue::Kind::Bool)
    return unexpected(place, "a boolean");
  result = place.value.boolean;
  return true;
}

bool JsonFields::text(const JsonPlace &place, std::string &result, size_t longest) {
  if (!place.value.isString())
    return unexpected(place, "a text");
  result = place.value.string;
  if (result.empty())
    return fail(place, "expected a text, but got an empty one");
  if (result.size() > longest)
    return fail(place, "expected a text of at most " + std::to_string(longest) +
                           " bytes, but got one of " + std::to_string(result.size()));
  return true;
}

bool JsonFields::integer(const JsonPlace &place, int64_t least, int64_t most, int64_t &result) {
  const JsonNumber &number = place.value.number;
  bool isNumber = place.value.kind == JsonValue::Kind::Number;
  if (isNumber && number.natural && *number.natural <= uint64_t(most) &&
      int64_t(*number.natural) >= least) {
    result = int64_t(*number.natural);
    return true;
  }
  return unexpected(place,
                    "an integer from " + std::to_string(least) + " to " + std::to_string(most));
}

bool JsonFields::scale(const JsonPlace &place, float &result) {
  result = place.value.number.single;
  if (place.value.kind != JsonValue::Kind::Number || !(result > 0) || !std::isfinite(result))
    return unexpected(place, "a positive finite float32 number");
  return true;
}

bool JsonFields::texts(const JsonPlace &place, std::vector<std::string> &result) {
  return eachElement(place, [&](const JsonPlace &element) {
    if (!element.value.isString())
      return unexpected(element, "a text");
    result.push_back(element.value.string);
    return true;
  });
}

const JsonValue *JsonFields::find(const JsonPlace &place, std::string_view key) {
  if (!object(place))
    return nullptr;
  const JsonValue *value = place.value.find(key);
  if (!value)
    fail(place, "expected the key " + quoteName(key) + ", but there is none");
  return value;
}
