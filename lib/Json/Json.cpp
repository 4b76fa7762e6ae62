//===- Json.cpp - Strict JSON from files that may lie ---------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Json/Json.h"
#include "kvq/Json/Quote.h"
#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

using namespace kvq;

JsonHandler::~JsonHandler() = default;

namespace {

/// Walks over the text. The place is kept outside, so that it tells what the
/// lexer took, wherever the parser keeps its copy.
struct SharedIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char *;
  using reference = const char &;

  const char **place = nullptr;

  reference operator*() const { return **place; }
  SharedIterator &operator++() {
    ++*place;
    return *this;
  }
  bool operator==(const SharedIterator &other) const { return *place == *other.place; }
  bool operator!=(const SharedIterator &other) const { return *place != *other.place; }
};

/// A literal that JSON does not have, replaced by a number of the same length.
struct NonFinite {
  size_t offset;
  double value;
};

/// From nlohmann's events to a JsonHandler's.
class Adapter : public nlohmann::json_sax<nlohmann::json> {
public:
  Adapter(std::string_view text, JsonHandler &handler, const JsonOptions &options,
          const std::vector<NonFinite> &nonFinite)
      : text(text), handler(handler), options(options), nonFinite(nonFinite), taken(text.data()),
        last(text.data() + text.size()) {}

  bool null() override { return check(handler.null()); }
  bool boolean(bool value) override { return check(handler.boolean(value)); }
  // Only for what starts with a '-'.
  bool number_integer(number_integer_t value) override {
    return check(handler.number({std::nullopt, double(value), float(value)}));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return check(handler.number({value, double(value), float(value)}));
  }
  bool number_float(number_float_t value, const string_t &literal) override {
    JsonNumber number{std::nullopt, value, float(value)};
    // Leaves what is beyond the range, or too small for it, as it is.
    std::from_chars(literal.data(), literal.data() + literal.size(), number.single);
    if (std::optional<double> replaced = lookUp(literal.size())) {
      number.value = *replaced;
      number.single = float(*replaced);
    }
    return check(handler.number(number));
  }
  bool string(string_t &value) override { return check(handler.string(value)); }
  bool binary(binary_t &) override { return fail("unexpected binary data"); }
  bool start_object(std::size_t) override { return enter() && check(handler.beginObject()); }
  bool key(string_t &name) override { return check(handler.key(name)); }
  bool end_object() override { return --depth, check(handler.endObject()); }
  bool start_array(std::size_t) override { return enter() && check(handler.beginArray()); }
  bool end_array() override { return --depth, check(handler.endArray()); }

  bool parse_error(std::size_t position, const std::string &,
                   const nlohmann::detail::exception &exception) override {
    // nlohmann: "[json.exception.parse_error.101] parse error at line 1,
    // column 2: REASON; last read: '...'"
    std::string_view reason = exception.what();
    for (std::string_view separator : {"] ", ": "})
      if (size_t place = reason.find(separator); place != std::string_view::npos)
        reason.remove_prefix(place + separator.size());
    error = "malformed JSON at byte " + std::to_string(position) + ": " + quotedTail(reason);
    return false;
  }

  SharedIterator begin() { return {&taken}; }
  SharedIterator end() { return {&last}; }
  std::string takeError() { return error.empty() ? "malformed JSON" : std::move(error); }

private:
  std::string_view text;
  JsonHandler &handler;
  const JsonOptions &options;
  const std::vector<NonFinite> &nonFinite;
  const char *taken, *last;
  unsigned depth = 0;
  std::string error;

  static std::string quotedTail(std::string_view reason) {
    std::string result = quoteName(reason);
    return result.substr(1, result.size() - 2);
  }

  bool fail(const std::string &reason) {
    error = reason + " at byte " + std::to_string(taken - text.data());
    return false;
  }
  bool check(bool good) { return good || fail(handler.problem); }
  bool enter() {
    if (++depth <= options.maxDepth)
      return true;
    return fail("JSON nested deeper than " + std::to_string(options.maxDepth) + " levels");
  }

  /// The literal that stood where the number just read stands. The lexer has
  /// read one character beyond a number, except at the text's end.
  std::optional<double> lookUp(size_t length) const {
    if (nonFinite.empty())
      return std::nullopt;
    size_t place = taken - text.data();
    for (size_t end : {place - 1, place}) {
      auto it = std::lower_bound(nonFinite.begin(), nonFinite.end(), end - length,
                                 [](const NonFinite &a, size_t b) { return a.offset < b; });
      if (it != nonFinite.end() && it->offset == end - length)
        return it->value;
    }
    return std::nullopt;
  }
};

} // namespace

/// Whether the literal at `begin` is a value of its own: '-NaN' and '1NaN' must
/// not become numbers.
static bool standsAlone(std::string_view text, size_t begin, size_t length) {
  auto isOneOf = [](char c, std::string_view others) {
    return std::string_view(" \t\r\n").find(c) != std::string_view::npos ||
           others.find(c) != std::string_view::npos;
  };
  size_t end = begin + length;
  return (begin == 0 || isOneOf(text[begin - 1], "[:,")) &&
         (end == text.size() || isOneOf(text[end], ",]}"));
}

/// Overwrites NaN, Infinity and -Infinity outside of strings.
static std::vector<NonFinite> replaceNonFinite(std::string &text) {
  static const struct {
    std::string_view literal, number;
    double value;
  } literals[] = {
      {"NaN", "0.5", std::numeric_limits<double>::quiet_NaN()},
      {"-Infinity", "-0.500000", -std::numeric_limits<double>::infinity()},
      {"Infinity", "0.500000", std::numeric_limits<double>::infinity()},
  };
  std::vector<NonFinite> found;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (inString) {
      if (text[i] == '\\')
        ++i;
      else if (text[i] == '"')
        inString = false;
      continue;
    }
    if (text[i] == '"') {
      inString = true;
      continue;
    }
    if (text[i] != 'N' && text[i] != 'I' && text[i] != '-')
      continue;
    for (const auto &entry : literals) {
      if (text.compare(i, entry.literal.size(), entry.literal) != 0 ||
          !standsAlone(text, i, entry.literal.size()))
        continue;
      text.replace(i, entry.literal.size(), entry.number);
      found.push_back({i, entry.value});
      i += entry.literal.size() - 1;
      break;
    }
  }
  return found;
}

Status kvq::readJsonText(std::string_view text, JsonHandler &handler, const JsonOptions &options) {
  auto malformed = [](const std::string &reason) { return Failure{"malformed JSON " + reason}; };
  constexpr std::string_view byteOrderMark = "\xef\xbb\xbf";
  // nlohmann skips the one and takes the other for the end of the text.
  if (text.substr(0, byteOrderMark.size()) == byteOrderMark)
    return malformed("at byte 0: a byte-order mark");
  if (size_t nul = text.find('\0'); nul != std::string_view::npos)
    return malformed("at byte " + std::to_string(nul) + ": a NUL byte");
  std::string copy;
  std::vector<NonFinite> nonFinite;
  auto has = [&](std::string_view word) { return text.find(word) != std::string_view::npos; };
  if (options.allowNonFinite && (has("NaN") || has("Infinity"))) {
    copy = text;
    nonFinite = replaceNonFinite(copy);
    text = copy;
  }
  Adapter adapter(text, handler, options, nonFinite);
  if (!nlohmann::json::sax_parse(adapter.begin(), adapter.end(), &adapter))
    return Failure{adapter.takeError()};
  return success();
}

namespace {

class ValueBuilder : public JsonHandler {
public:
  JsonValue root;

  bool null() override { return place(JsonValue::Kind::Null) != nullptr; }
  bool boolean(bool value) override { return place(JsonValue::Kind::Bool)->boolean = value, true; }
  bool number(const JsonNumber &value) override {
    return place(JsonValue::Kind::Number)->number = value, true;
  }
  bool string(std::string &value) override {
    return place(JsonValue::Kind::String)->string = std::move(value), true;
  }
  bool beginObject() override {
    open.push_back({place(JsonValue::Kind::Object), {}});
    return true;
  }
  bool key(std::string &name) override {
    if (!open.back().keys.insert(name).second) {
      problem = "duplicate key " + quoteName(name);
      return false;
    }
    open.back().value->members.emplace_back(std::move(name), JsonValue());
    return true;
  }
  bool endObject() override { return open.pop_back(), true; }
  bool beginArray() override {
    open.push_back({place(JsonValue::Kind::Array), {}});
    return true;
  }
  bool endArray() override { return open.pop_back(), true; }

private:
  struct Container {
    // Stays valid: a container's parent does not grow while it is open.
    JsonValue *value;
    std::unordered_set<std::string> keys;
  };
  std::vector<Container> open;

  JsonValue *place(JsonValue::Kind kind) {
    JsonValue *value = &root;
    if (!open.empty() && open.back().value->isObject())
      value = &open.back().value->members.back().second;
    else if (!open.empty())
      value = &open.back().value->elements.emplace_back();
    value->kind = kind;
    return value;
  }
};

} // namespace

Result<JsonValue> kvq::parseJsonText(std::string_view text, const JsonOptions &options) {
  ValueBuilder builder;
  if (Status status = readJsonText(text, builder, options); !status)
    return status.failure();
  return std::move(builder.root);
}

const JsonValue *JsonValue::find(std::string_view name) const {
  for (const Member &member : members)
    if (member.first == name)
      return &member.second;
  return nullptr;
}

const JsonValue *JsonValue::findValue(std::string_view name) const {
  const JsonValue *value = find(name);
  return value && !value->isNull() ? value : nullptr;
}

std::string_view JsonValue::findString(std::string_view name) const {
  const JsonValue *value = find(name);
  return value && value->isString() ? std::string_view(value->string) : std::string_view();
}

std::string_view JsonValue::describe() const {
  switch (kind) {
  case Kind::Null:
    return "null";
  case Kind::Bool:
    return "a boolean";
  case Kind::Number:
    return "a number";
  case Kind::String:
    return "a string";
  case Kind::Object:
    return "an object";
  case Kind::Array:
    return "an array";
  }
  return {};
}
