//===- HfConfig.cpp - config.json -----------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/HfConfig.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;
using namespace kvq;

Expected<HfConfig> kvq::parseHfConfig(StringRef text, StringRef file) {
  // Python's json writes NaN and Infinity; a used field refuses them.
  Expected<JsonValue> root = parseJson(text, {/*maxDepth=*/64, /*allowNonFinite=*/true});
  if (!root)
    return fileError(file, toString(root.takeError()));
  if (!root->isObject())
    return fileError(file, "expected an object, but got " + root->describe());
  return HfConfig{file.str(), std::move(*root)};
}

const JsonValue &HfConfig::text() const {
  for (StringRef heads : {"num_attention_heads", "n_head", "n_heads"})
    if (root.findValue(heads))
      return root;
  for (StringRef name : {"text_config", "llm_config", "language_config"})
    if (const JsonValue *nested = root.find(name); nested && nested->isObject())
      return *nested;
  if (const JsonValue *thinker = root.find("thinker_config"))
    if (const JsonValue *nested = thinker->find("text_config"); nested && nested->isObject())
      return *nested;
  return root;
}

const JsonValue *HfConfig::quantization() const {
  const JsonValue *nested = root.find("text_config");
  for (const JsonValue *object : {&root, nested, &text()})
    for (StringRef name : {"quantization_config", "compression_config"})
      if (const JsonValue *found = object ? object->find(name) : nullptr;
          found && found->isObject())
        return found;
  return nullptr;
}

StringRef HfConfig::modelType() const { return root.findString("model_type"); }

StringRef HfConfig::textModelType() const {
  StringRef type = text().findString("model_type");
  return type.empty() ? modelType() : type;
}

std::string HfConfig::dtype() const {
  for (const JsonValue *object : {&root, &text()})
    for (StringRef name : {"dtype", "torch_dtype"})
      if (StringRef text = object->findString(name); !text.empty())
        return text.str();
  return {};
}

static std::string describeValue(const JsonValue &value) {
  switch (value.kind) {
  case JsonValue::Kind::Number: {
    if (value.number.natural)
      return utostr(*value.number.natural);
    SmallString<32> text;
    raw_svector_ostream(text) << format("%g", value.number.value);
    return text.str().str();
  }
  case JsonValue::Kind::Bool:
    return value.boolean ? "true" : "false";
  case JsonValue::Kind::String:
    return "the string " + quoteName(value.string);
  default:
    return std::string(value.describe());
  }
}

Error HfConfig::error(const Twine &text) const { return fileError(file, text); }

Error HfConfig::unexpected(StringRef name, const Twine &what, const JsonValue &got) const {
  return error("expected " + quoteName(name) + " to be " + what + ", but got " +
               describeValue(got));
}

Expected<std::optional<int64_t>> HfConfig::count(const JsonValue &object,
                                                 ArrayRef<StringRef> names) const {
  for (StringRef name : names) {
    const JsonValue *value = object.findValue(name);
    if (!value)
      continue;
    std::optional<uint64_t> natural = value->number.natural;
    if (value->kind != JsonValue::Kind::Number || !natural || *natural == 0 ||
        *natural > uint64_t(maxCount))
      return unexpected(name, "an integer from 1 to " + Twine(maxCount), *value);
    return int64_t(*natural);
  }
  return std::nullopt;
}
