//===- LegacyJson.cpp - vLLM's kv_cache_scales.json -----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/LegacyJson.h"
#include "kvq/Checkpoint/Geometry.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <map>

using namespace llvm;
using namespace kvq;

static constexpr uint64_t maxFileSize = 100'000'000;

namespace {

/// Layer to scale.
using RankScales = std::map<int64_t, float>;

class LegacyReader {
public:
  LegacyReader(StringRef path, const HfConfig *config, const ReadOptions &options, ReadLog &log)
      : path(path), config(config), options(options), log(log) {}

  Expected<Checkpoint> read();

private:
  StringRef path;
  const HfConfig *config;
  const ReadOptions &options;
  ReadLog &log;
  std::map<int64_t, RankScales> ranks;
  Checkpoint checkpoint;

  /// A failure whose cause vLLM logged without its text.
  Error invalid(const Twine &text) const {
    return createStringError(inconvertibleErrorCode(),
                             "An error occurred while reading '" + path + "'. " + text);
  }
  Expected<int64_t> parseKey(StringRef key, StringRef what) const;
  Error readRanks(const JsonValue &factors);
  Error readHeader(const JsonValue &root);
  Error checkRanks(int64_t numLayers) const;
  Error buildLayers(const ModelGeometry &geometry, int64_t numLayers);
};

} // namespace

/// A layer's or a rank's number: plain decimal digits.
Expected<int64_t> LegacyReader::parseKey(StringRef key, StringRef what) const {
  int64_t number = 0;
  bool isPlain = !key.empty() && all_of(key, isDigit) && (key.size() == 1 || key.front() != '0');
  if (!isPlain || key.getAsInteger(10, number) || number > maxCount)
    return invalid("expected a " + what + " number, but got " + quoteName(key));
  return number;
}

Error LegacyReader::readRanks(const JsonValue &factors) {
  for (const JsonValue::Member &rankMember : factors.members) {
    Expected<int64_t> rank = parseKey(rankMember.first, "TP rank");
    if (!rank)
      return rank.takeError();
    if (!rankMember.second.isObject())
      return invalid("expected TP rank " + rankMember.first + " to be an object, but got " +
                     rankMember.second.describe());
    RankScales &scales = ranks[*rank];
    for (const JsonValue::Member &member : rankMember.second.members) {
      Expected<int64_t> layer = parseKey(member.first, "layer");
      if (!layer)
        return layer.takeError();
      if (member.second.kind != JsonValue::Kind::Number)
        return invalid("expected layer " + member.first + " of TP rank " + rankMember.first +
                       " to be a number, but got " + member.second.describe());
      // Python reads a double, which becomes float32 in the parameter.
      scales[*layer] = float(member.second.number.value);
    }
  }
  return Error::success();
}

Error LegacyReader::readHeader(const JsonValue &root) {
  const JsonValue *type = root.find("model_type");
  if (!type || !(type->isNull() || type->isString()))
    return invalid("expected 'model_type' to be a string or null");
  checkpoint.modelType = type->string;
  const JsonValue *cache = root.findValue("kv_cache");
  if (!cache || !cache->isObject())
    return invalid("expected 'kv_cache' to be an object");
  const JsonValue *dtype = cache->findValue("dtype");
  if (!dtype || !dtype->isString())
    return invalid("expected 'kv_cache.dtype' to be a string");
  const JsonValue *factors = cache->findValue("scaling_factor");
  if (!factors || !factors->isObject())
    return invalid("expected 'kv_cache.scaling_factor' to be an object");
  if (Error error = readRanks(*factors))
    return error;
  if (dtype->string != "float8_e4m3fn") {
    std::string name = quoteName(dtype->string);
    return invalid("Loaded scaling factors intended for KV cache dtype = " +
                   StringRef(name).drop_front().drop_back() + " rather than float8_e4m3fn!");
  }
  return Error::success();
}

/// vLLM's checks in their order, for every rank since kvq runs as none.
Error LegacyReader::checkRanks(int64_t numLayers) const {
  int64_t numRanks = int64_t(ranks.size());
  if (options.tensorParallelSize && *options.tensorParallelSize != numRanks)
    return invalid("Loaded dictionary has TP size " + Twine(numRanks) +
                   " but LLM engine is currently running with TP size " +
                   Twine(*options.tensorParallelSize) + ".");
  for (const auto &[rank, scales] : ranks)
    if (int64_t(scales.size()) != numLayers)
      return invalid("KV cache scales map for TP rank " + Twine(rank) + " is malformed. Expected " +
                     Twine(numLayers) + " layers, got " + Twine(scales.size()) + ".");
  for (int64_t rank = 0; rank < std::max<int64_t>(numRanks, 1); ++rank)
    if (!ranks.count(rank))
      return invalid("KV cache scales map for TP rank " + Twine(rank) + " not found.");
  for (const auto &[rank, scales] : ranks)
    for (int64_t layer = 0; layer < numLayers; ++layer)
      if (!scales.count(layer))
        return invalid("Could not find KV cache scales for layer " + Twine(layer) + " in TP rank " +
                       Twine(rank) + ".");
  StringRef engineType = config ? config->modelType() : StringRef();
  if (!engineType.empty() && engineType != checkpoint.modelType) {
    std::string file = checkpoint.modelType.empty() ? "None" : quoteName(checkpoint.modelType);
    return invalid("Model type is " + engineType +
                   " but loaded scaling factors belonging to different model type " +
                   StringRef(file).trim('\'') + "!");
  }
  for (const auto &[rank, scales] : ranks)
    for (const auto &[layer, scale] : scales)
      if (scale != ranks.begin()->second.at(layer))
        return invalid("expected the TP ranks to agree, but layer " + Twine(layer) +
                       " differs in rank " + Twine(rank));
  return Error::success();
}

Error LegacyReader::buildLayers(const ModelGeometry &geometry, int64_t numLayers) {
  std::vector<AttentionLayer> layers;
  for (const AttentionLayer &layer : geometry.layers)
    if (!layer.optional)
      layers.push_back(layer);
  if (!config) {
    layers.clear();
    for (int64_t index = 0; index < numLayers; ++index)
      layers.emplace_back().index = index;
  }
  StringRef file = sys::path::filename(path);
  const RankScales &scales = ranks.begin()->second;
  for (const AttentionLayer &attention : layers) {
    CheckpointLayer &layer = checkpoint.layers.emplace_back();
    layer.index = attention.index;
    layer.name = layerName(geometry.patterns.front(), attention.index, attention.module);
    layer.geometry = attention.geometry;
    CheckpointScale scale;
    scale.values = {scales.at(attention.index)};
    scale.tensor = "kv_cache.scaling_factor.0." + itostr(attention.index);
    scale.file = file.str();
    layer.scales[size_t(ScaleKind::K)] = scale;
    if (!(layer.geometry && layer.geometry->kvLoraRank))
      layer.scales[size_t(ScaleKind::V)] = std::move(scale);
  }
  return Error::success();
}

Expected<Checkpoint> LegacyReader::read() {
  checkpoint.format = CheckpointFormat::LegacyJson;
  Expected<std::string> text = readTextFile(path, sys::path::filename(path), maxFileSize, log);
  if (!text)
    return text.takeError();
  Expected<JsonValue> root = parseJson(*text);
  if (!root)
    return createStringError(inconvertibleErrorCode(), "Error decoding JSON in file '" + path +
                                                           "'. " + toString(root.takeError()));
  if (Error error = readHeader(*root))
    return error;
  ModelGeometry geometry;
  geometry.patterns = layerPatterns(checkpoint.modelType);
  // Without a configuration the first rank tells how many layers there are.
  int64_t numLayers = ranks.empty() ? 0 : int64_t(ranks.begin()->second.size());
  if (config) {
    Expected<ModelGeometry> read = readGeometry(*config);
    if (!read)
      return read.takeError();
    geometry = std::move(*read);
    Expected<std::optional<int64_t>> count =
        config->count(config->text(), {"num_hidden_layers", "n_layer", "n_layers", "num_layers"});
    if (!count)
      return count.takeError();
    numLayers =
        count->value_or(geometry.layers.empty() ? numLayers : geometry.layers.back().index + 1);
    checkpoint.geometryError = geometry.error;
    checkpoint.notes = geometry.notes;
    checkpoint.dtypeText = config->dtype();
  } else {
    checkpoint.geometryError =
        (path + ": the file has no geometry; '--config' names a config.json for it").str();
  }
  if (Error error = checkRanks(numLayers))
    return error;
  if (numLayers == 0)
    return invalid("expected at least one layer");
  if (Error error = buildLayers(geometry, numLayers))
    return error;
  checkpoint.notes.push_back("no current engine reads this format; export to compressed-tensors");
  return checkpoint;
}

Expected<Checkpoint> kvq::readLegacyJson(StringRef path, const HfConfig *config,
                                         const ReadOptions &options, ReadLog &log) {
  return LegacyReader(path, config, options, log).read();
}

Error kvq::legacyFileNotFound(StringRef path) {
  return createStringError(inconvertibleErrorCode(), "File or directory '" + path + "' not found.");
}
