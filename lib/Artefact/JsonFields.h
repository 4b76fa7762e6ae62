//===- JsonFields.h - Values of a document, checked -------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_ARTEFACT_JSONFIELDS_H
#define KVQ_LIB_ARTEFACT_JSONFIELDS_H

#include "kvq/Json/Json.h"

namespace kvq {

/// A value of a document and how it was reached, for messages. Lives on the
/// stack of what reads it.
class JsonPlace {
public:
  explicit JsonPlace(const JsonValue &root) : value(root) {}
  /// A member or an element of `parent`.
  JsonPlace(const JsonPlace &parent, std::string_view key, const JsonValue &value)
      : value(value), parent(&parent), key(key) {}
  JsonPlace(const JsonPlace &parent, size_t index)
      : value(parent.value.elements[index]), parent(&parent), index(index) {}

  /// 'kernels[3].args[2].type'; empty for the root.
  std::string describe() const;

  const JsonValue &value;

private:
  const JsonPlace *parent = nullptr;
  std::string_view key;
  size_t index = 0;
};

/// Reads values of given types. Each function returns false at the first one
/// that is wrong, with the reason in `problem`.
class JsonFields {
public:
  std::string problem;

  /// "PLACE: text".
  bool fail(const JsonPlace &place, const std::string &text);
  /// "PLACE: expected WHAT, but got VALUE".
  bool unexpected(const JsonPlace &place, const std::string &what);

  bool object(const JsonPlace &place);
  bool array(const JsonPlace &place);
  bool boolean(const JsonPlace &place, bool &result);
  /// Neither empty nor longer than `longest` bytes.
  bool text(const JsonPlace &place, std::string &result, size_t longest = 1 << 16);
  bool integer(const JsonPlace &place, int64_t least, int64_t most, int64_t &result);
  /// Above zero, finite.
  bool scale(const JsonPlace &place, float &result);
  /// A list of texts, which may be empty.
  bool texts(const JsonPlace &place, std::vector<std::string> &result);

  /// Calls `read` with the member `key` of an object, which must have it.
  template <typename Read>
  bool member(const JsonPlace &place, std::string_view key, const Read &read) {
    const JsonValue *value = find(place, key);
    return value && read(JsonPlace(place, key, *value));
  }
  /// The same, if there is one that is not null.
  template <typename Read>
  bool optionalMember(const JsonPlace &place, std::string_view key, const Read &read) {
    const JsonValue *value = place.value.findValue(key);
    return !value || read(JsonPlace(place, key, *value));
  }
  /// Calls `read` with each member of an object; the key is the value's name.
  template <typename Read> bool eachMember(const JsonPlace &place, const Read &read) {
    if (!object(place))
      return false;
    for (const JsonValue::Member &member : place.value.members)
      if (!read(member.first, JsonPlace(place, member.first, member.second)))
        return false;
    return true;
  }
  /// Calls `read` with each element of an array.
  template <typename Read> bool eachElement(const JsonPlace &place, const Read &read) {
    if (!array(place))
      return false;
    for (size_t index = 0; index < place.value.elements.size(); ++index)
      if (!read(JsonPlace(place, index)))
        return false;
    return true;
  }

private:
  /// Null, and a problem, where there is none.
  const JsonValue *find(const JsonPlace &place, std::string_view key);
};

} // namespace kvq

#endif // KVQ_LIB_ARTEFACT_JSONFIELDS_H
