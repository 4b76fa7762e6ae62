//===- Json.cpp - Strict JSON from files that may lie ---------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Support/Json.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include <limits>
#include <nlohmann/json.hpp>

using namespace llvm;
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
  Adapter(StringRef text, JsonHandler &handler, const JsonOptions &options,
          ArrayRef<NonFinite> nonFinite)
      : text(text), handler(handler), options(options), nonFinite(nonFinite), taken(text.begin()),
        last(text.end()) {}

  bool null() override { return check(handler.null()); }
  bool boolean(bool value) override { return check(handler.boolean(value)); }
  // Only for what starts with a '-'.
  bool number_integer(number_integer_t value) override {
    return check(handler.number({std::nullopt, double(value)}));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return check(handler.number({value, double(value)}));
  }
  bool number_float(number_float_t value, const string_t &literal) override {
    JsonNumber number{std::nullopt, value};
    if (std::optional<double> replaced = lookUp(literal.size()))
      number.value = *replaced;
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
    StringRef what = exception.what();
    what.consume_front("[json.exception.");
    StringRef reason = what.split("] ").second;
    if (reason.contains(": "))
      reason = reason.split(": ").second;
    error = "malformed JSON at byte " + utostr(position) + ": " + quotedTail(reason);
    return false;
  }

  SharedIterator begin() { return {&taken}; }
  SharedIterator end() { return {&last}; }
  std::string takeError() { return error.empty() ? "malformed JSON" : std::move(error); }

private:
  StringRef text;
  JsonHandler &handler;
  const JsonOptions &options;
  ArrayRef<NonFinite> nonFinite;
  const char *taken, *last;
  unsigned depth = 0;
  std::string error;

  static std::string quotedTail(StringRef reason) {
    std::string result = quoteName(reason);
    return result.substr(1, result.size() - 2);
  }

  bool fail(const Twine &reason) {
    error = (reason + " at byte " + Twine(taken - text.begin())).str();
    return false;
  }
  bool check(bool good) { return good || fail(handler.problem); }
  bool enter() {
    if (++depth <= options.maxDepth)
      return true;
    return fail("JSON nested deeper than " + Twine(options.maxDepth) + " levels");
  }

  /// The literal that stood where the number just read stands. The lexer has
  /// read one character beyond a number, except at the text's end.
  std::optional<double> lookUp(size_t length) const {
    if (nonFinite.empty())
      return std::nullopt;
    size_t place = taken - text.begin();
    for (size_t end : {place - 1, place}) {
      const NonFinite *it = lower_bound(nonFinite, end - length,
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
static bool standsAlone(StringRef text, size_t begin, size_t length) {
  constexpr StringLiteral blanks = " \t\r\n";
  auto isOneOf = [&](char c, StringRef others) { return blanks.contains(c) || others.contains(c); };
  size_t end = begin + length;
  return (begin == 0 || isOneOf(text[begin - 1], "[:,")) &&
         (end == text.size() || isOneOf(text[end], ",]}"));
}

/// Overwrites NaN, Infinity and -Infinity outside of strings.
static std::vector<NonFinite> replaceNonFinite(std::string &text) {
  static const struct {
    StringLiteral literal, number;
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
      if (!StringRef(text).substr(i).starts_with(entry.literal) ||
          !standsAlone(text, i, entry.literal.size()))
        continue;
      text.replace(i, entry.literal.size(), entry.number.str());
      found.push_back({i, entry.value});
      i += entry.literal.size() - 1;
      break;
    }
  }
  return found;
}

Error kvq::readJson(StringRef text, JsonHandler &handler, const JsonOptions &options) {
  auto malformed = [](const Twine &reason) {
    return createStringError(inconvertibleErrorCode(), "malformed JSON " + reason);
  };
  // nlohmann skips the one and takes the other for the end of the text.
  if (text.starts_with("\xef\xbb\xbf"))
    return malformed("at byte 0: a byte-order mark");
  if (size_t nul = text.find('\0'); nul != StringRef::npos)
    return malformed("at byte " + Twine(nul) + ": a NUL byte");
  std::string copy;
  std::vector<NonFinite> nonFinite;
  if (options.allowNonFinite && (text.contains("NaN") || text.contains("Infinity"))) {
    copy = text.str();
    nonFinite = replaceNonFinite(copy);
    text = copy;
  }
  Adapter adapter(text, handler, options, nonFinite);
  if (!nlohmann::json::sax_parse(adapter.begin(), adapter.end(), &adapter))
    return createStringError(inconvertibleErrorCode(), adapter.takeError());
  return Error::success();
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
    StringSet<> keys;
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

Expected<JsonValue> kvq::parseJson(StringRef text, const JsonOptions &options) {
  ValueBuilder builder;
  if (Error error = readJson(text, builder, options))
    return error;
  return std::move(builder.root);
}

const JsonValue *JsonValue::find(StringRef name) const {
  for (const Member &member : members)
    if (member.first == name)
      return &member.second;
  return nullptr;
}

const JsonValue *JsonValue::findValue(StringRef name) const {
  const JsonValue *value = find(name);
  return value && !value->isNull() ? value : nullptr;
}

StringRef JsonValue::findString(StringRef name) const {
  const JsonValue *value = find(name);
  return value && value->isString() ? StringRef(value->string) : StringRef();
}

StringRef JsonValue::describe() const {
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
