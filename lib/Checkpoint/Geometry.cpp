//===- Geometry.cpp - Attention layers and their sizes --------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/Geometry.h"
#include "GeometryReader.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using namespace kvq;

std::string kvq::layerName(StringRef pattern, int64_t index, StringRef module) {
  auto [before, after] = pattern.split("{}");
  if (before.size() == pattern.size())
    return pattern.str();
  std::string name = (before + Twine(index) + after).str();
  if (!module.empty())
    name = (StringRef(name).rsplit('.').first + "." + module).str();
  return name;
}

std::vector<std::string> kvq::layerPatterns(StringRef modelType) {
  std::vector<std::string> patterns;
  auto add = [&](ModulePlace place) {
    for (StringRef pattern : modulePatterns(place))
      if (!is_contained(patterns, pattern))
        patterns.push_back(pattern.str());
  };
  if (const ModelRow *row = lookUpModel(modelType)) {
    add(row->place);
    return patterns;
  }
  // The most common first; the names in the files decide.
  add(ModulePlace::Decoder);
  for (const ModelRow &row : allModels())
    add(row.place);
  return patterns;
}

void GeometryReader::noteDefault(StringRef name, int64_t value) {
  result.notes.push_back("config.json has no " + quoteName(name) + "; " + itostr(value) +
                         " is the default of model_type " + quoteName(type));
}

/// A count, or the type's default, which is noted.
Expected<Count> GeometryReader::count(ArrayRef<StringRef> names, int64_t fallback) {
  Expected<Count> value = config.count(text, names);
  if (!value || *value || fallback == 0)
    return value;
  noteDefault(is_contained(names, "num_key_value_heads") ? "num_key_value_heads" : names.front(),
              fallback);
  return Count(fallback);
}

/// A number that may be zero.
Expected<int64_t> GeometryReader::natural(StringRef name, int64_t fallback) {
  const JsonValue *value = text.findValue(name);
  if (!value)
    return fallback;
  if (!value->number.natural || *value->number.natural > uint64_t(maxCount))
    return config.unexpected(name, "an integer from 0 to " + Twine(maxCount), *value);
  return int64_t(*value->number.natural);
}

/// An array, of `length` elements unless that is negative; null for none.
Expected<const JsonValue *> GeometryReader::list(StringRef name, int64_t length) {
  const JsonValue *value = text.findValue(name);
  if (!value)
    return nullptr;
  if (!value->isArray())
    return config.unexpected(name, "an array", *value);
  if (length >= 0 && value->elements.size() != size_t(length))
    return config.error("expected " + quoteName(name) + " to have one element per layer (" +
                        Twine(length) + "), but got " + Twine(value->elements.size()));
  return value;
}

Expected<std::vector<int64_t>> GeometryReader::indices(StringRef name, int64_t limit) {
  Expected<const JsonValue *> array = list(name);
  if (!array)
    return array.takeError();
  std::vector<int64_t> result;
  if (!*array)
    return result;
  for (const JsonValue &element : (*array)->elements) {
    if (!element.number.natural || *element.number.natural >= uint64_t(limit))
      return config.unexpected(name, "a list of layers below " + Twine(limit), element);
    result.push_back(int64_t(*element.number.natural));
  }
  return result;
}

Expected<Count> GeometryReader::numLayers() {
  if (row && row->caches == CacheRule::HybridPattern) {
    // The list's length counts, whatever num_hidden_layers says.
    if (size_t length = text.findString("hybrid_override_pattern").size())
      return Count(int64_t(length));
    for (StringRef name : {"layers_block_type", "layer_types"}) {
      Expected<const JsonValue *> types = list(name);
      if (!types)
        return types.takeError();
      if (*types && !(*types)->elements.empty())
        return Count(int64_t((*types)->elements.size()));
    }
  }
  return count({"num_hidden_layers", "n_layer", "n_layers", "num_layers"}, row ? row->layers : 0);
}

Error GeometryReader::addPredictionLayers(int64_t numLayers) {
  bool separate = type.starts_with("qwen3_5");
  Expected<int64_t> extra =
      natural(separate ? "mtp_num_hidden_layers" : "num_nextn_predict_layers", 0);
  if (!extra)
    return extra.takeError();
  for (int64_t i = 0; i < *extra; ++i) {
    AttentionLayer layer;
    layer.index = numLayers + i;
    layer.geometry = result.common;
    layer.optional = true;
    if (separate)
      layer.pattern = "mtp.layers." + itostr(i) + ".self_attn";
    result.layers.push_back(std::move(layer));
  }
  return Error::success();
}

Expected<ModelGeometry> GeometryReader::read() {
  type = config.textModelType();
  row = lookUpModel(type);
  if (!row && (row = lookUpModel(config.modelType())))
    type = config.modelType();
  result.knownType = row != nullptr;
  result.patterns = layerPatterns(type);

  Expected<Count> layers = numLayers();
  if (!layers)
    return layers.takeError();
  if (row && row->caches == CacheRule::None)
    result.knownLayers = true;
  else if (Error error = readSizes())
    return error;
  if (!*layers) {
    miss("expected 'num_hidden_layers'");
    return result;
  }
  result.knownLayers = true;
  Expected<std::vector<bool>> owners = cacheOwners(**layers);
  if (!owners)
    return owners.takeError();
  for (auto [index, owns] : enumerate(*owners)) {
    if (!owns)
      continue;
    AttentionLayer &layer = result.layers.emplace_back();
    layer.index = int64_t(index);
    layer.geometry = result.common;
  }
  if (row && row->caches == CacheRule::Cross) {
    Expected<std::vector<int64_t>> cross = indices("cross_attention_layers", **layers);
    if (!cross)
      return cross.takeError();
    if (!text.find("cross_attention_layers"))
      *cross = {3, 8, 13, 18, 23, 28, 33, 38};
    for (AttentionLayer &layer : result.layers)
      if (is_contained(*cross, layer.index))
        layer.module = "cross_attn";
  }
  if (Error error = adaptLayers())
    return error;
  if (Error error = addPredictionLayers(**layers))
    return error;
  return result;
}

Expected<ModelGeometry> kvq::readGeometry(const HfConfig &config) {
  return GeometryReader(config).read();
}
