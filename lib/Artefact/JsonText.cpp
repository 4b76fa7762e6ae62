//===- JsonText.cpp - JSON as kvq writes it -------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Artefact/JsonText.h"
#include "kvq/Support/Float32Format.h"
#include <cmath>
#include <nlohmann/json.hpp>

using Json = nlohmann::ordered_json;

/// Columns that a list or an object on one line may fill.
static constexpr size_t width = 150;

Json kvq::toJson(float value) {
  if (std::isfinite(value))
    return double(value);
  return formatFloat32(value);
}

Json kvq::toJson(const std::vector<float> &values) {
  Json json;
  json["shape"] = Json::array({values.size()});
  json["values"] = Json::array();
  for (float value : values)
    json["values"].push_back(toJson(value));
  return json;
}

static std::string scalarText(const Json &value) {
  if (value.is_number_float())
    return kvq::formatFloat32(float(value.get<double>()));
  return value.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

static std::string keyText(const std::string &key) { return scalarText(Json(key)) + ": "; }

/// Appends `value` on one line; gives up, with false, once `limit` is passed.
static bool appendLine(const Json &value, size_t limit, std::string &line) {
  if (!value.is_structured()) {
    line += scalarText(value);
    return line.size() <= limit;
  }
  line += value.is_object() ? '{' : '[';
  bool first = true;
  for (const auto &item : value.items()) {
    if (!first)
      line += ", ";
    first = false;
    if (value.is_object())
      line += keyText(item.key());
    if (!appendLine(item.value(), limit, line))
      return false;
  }
  line += value.is_object() ? '}' : ']';
  return line.size() <= limit;
}

/// Appends `value`, whose first line starts at column `column`.
static void append(const Json &value, size_t indent, size_t column, std::string &text) {
  std::string line;
  if (!value.is_structured() || value.empty() ||
      appendLine(value, width - std::min(width, column), line)) {
    text += value.is_structured() && value.empty() ? (value.is_object() ? "{}" : "[]")
            : line.empty()                         ? scalarText(value)
                                                   : line;
    return;
  }
  text += value.is_object() ? "{\n" : "[\n";
  size_t left = value.size();
  for (const auto &item : value.items()) {
    text.append(indent + 2, ' ');
    size_t start = indent + 2;
    if (value.is_object()) {
      std::string key = keyText(item.key());
      text += key;
      start += key.size();
    }
    append(item.value(), indent + 2, start, text);
    text += --left ? ",\n" : "\n";
  }
  text.append(indent, ' ');
  text += value.is_object() ? '}' : ']';
}

std::string kvq::toJsonText(const Json &value) {
  std::string text;
  append(value, 0, 0, text);
  text += '\n';
  return text;
}
