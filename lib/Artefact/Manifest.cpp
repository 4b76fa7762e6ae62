//===- Manifest.cpp - What an artefact holds ------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Artefact/Manifest.h"
#include "kvq/Artefact/JsonText.h"
#include <algorithm>
#include <nlohmann/json.hpp>

using namespace kvq;
using Json = nlohmann::ordered_json;

static Json sizeJson(const LaunchSize &size) {
  if (size.kind == LaunchSize::Kind::Number)
    return size.number;
  if (size.kind == LaunchSize::Kind::Argument)
    return size.argument;
  Json operands = Json::array();
  for (const LaunchSize &operand : size.operands)
    operands.push_back(sizeJson(operand));
  return {{launchSizeKey(size.kind), operands}};
}

static Json sizesJson(const std::array<LaunchSize, 3> &sizes) {
  Json list = Json::array();
  for (const LaunchSize &size : sizes)
    list.push_back(sizeJson(size));
  return list;
}

/// An object of texts, in the order given.
static Json textsJson(const std::vector<std::pair<std::string, std::string>> &texts) {
  Json object = Json::object();
  for (const auto &[name, text] : texts)
    object[name] = text;
  return object;
}

static Json targetJson(const ManifestTarget &target) {
  Json json;
  json["target"] = target.target;
  json["backend"] = target.backend;
  json["fnuz"] = target.fnuz;
  json["cache_type"] = target.cacheType ? Json(*target.cacheType) : Json();
  json["files"] = textsJson(target.files);
  return json;
}

static Json argumentJson(const ManifestArgument &argument) {
  Json json;
  json["name"] = argument.name;
  json["type"] = argument.type;
  if (argument.align)
    json["align"] = *argument.align;
  if (argument.divisible)
    json["divisible"] = *argument.divisible;
  return json;
}

static Json kernelJson(const ManifestKernel &kernel) {
  Json json;
  json["symbol"] = kernel.symbol;
  json["target"] = kernel.target;
  json["op"] = kernel.op;
  json["layout"] = kernel.layout;
  json["source_type"] = kernel.sourceType;
  json["cache_type"] = kernel.cacheType;
  json["num_kv_heads"] = kernel.numKVHeads;
  json["head_size"] = kernel.headSize;
  json["block_size"] = kernel.blockSize;
  if (kernel.kvLoraRank)
    json["kv_lora_rank"] = kernel.kvLoraRank;
  if (kernel.numHeads)
    json["num_heads"] = kernel.numHeads;
  if (kernel.paddingSlot >= 0)
    json["padding_slot"] = kernel.paddingSlot;
  if (!kernel.bounds.empty())
    json["bounds"] = kernel.bounds;
  for (const auto &[name, constant] : kernel.scaleConstants)
    json["scale_constants"][name] = toJson(constant);
  json["scales"] = Json::object();
  for (const auto &[name, scale] : kernel.scales) {
    Json &entry = json["scales"][name];
    if (scale.headValues.empty())
      entry["value"] = scale.value ? toJson(*scale.value) : Json();
    else
      entry["value"] = toJson(scale.headValues);
    entry["method"] = scale.method;
    if (scale.tried)
      entry["tried"] = *scale.tried;
  }
  json["args"] = Json::array();
  for (const ManifestArgument &argument : kernel.args)
    json["args"].push_back(argumentJson(argument));
  json["block"] = sizesJson(kernel.block);
  json["grid"] = sizesJson(kernel.grid);
  json["shared_bytes"] = kernel.sharedBytes;
  return json;
}

static Json layerJson(const ManifestLayer &layer) {
  Json json;
  json["name"] = layer.name;
  json["index"] = layer.index;
  bool hasVariants = std::any_of(layer.targets.begin(), layer.targets.end(),
                                 [](const auto &target) { return !target.variants.empty(); });
  for (const char *key :
       {"scales", "calculate_kv_scales", "kernels", "variants", "warnings", "notes"})
    if (hasVariants || key != std::string_view("variants"))
      json[key] = Json::object();
  for (const ManifestLayerTarget &target : layer.targets) {
    for (size_t i = 0; i < target.scales.size(); ++i) {
      const std::vector<float> &heads = target.headScales[i];
      json["scales"][target.target][kLayerScales[i]] =
          heads.empty() ? toJson(target.scales[i]) : toJson(heads);
    }
    json["calculate_kv_scales"][target.target] = target.calculateKVScales;
    json["kernels"][target.target] = textsJson(target.kernels);
    if (hasVariants) {
      Json &variants = json["variants"][target.target] = Json::object();
      for (const ManifestVariant &variant : target.variants)
        variants[variant.op][variant.name] = variant.symbol;
    }
    json["warnings"][target.target] = target.warnings;
    json["notes"][target.target] = target.notes;
  }
  return json;
}

std::string kvq::toJsonText(const Manifest &manifest) {
  Json json;
  json["schema"] = kManifestSchema;
  json["producer"] = manifest.producer;
  json["checkpoint"]["format"] = manifest.format;
  json["checkpoint"]["model_type"] = manifest.modelType;
  json["checkpoint"]["sha256"] = manifest.sha256;
  json["tensor_parallel_size"] = manifest.tensorParallelSize;
  json["warnings"] = manifest.warnings;
  json["notes"] = manifest.notes;
  json["targets"] = Json::array();
  for (const ManifestTarget &target : manifest.targets)
    json["targets"].push_back(targetJson(target));
  json["kernels"] = Json::array();
  for (const ManifestKernel &kernel : manifest.kernels)
    json["kernels"].push_back(kernelJson(kernel));
  json["layers"] = Json::array();
  for (const ManifestLayer &layer : manifest.layers)
    json["layers"].push_back(layerJson(layer));
  json["sha256"] = Json::object();
  for (const ManifestHash &hash : manifest.hashes)
    json["sha256"][hash.file] = hash.sha256;
  return toJsonText(json);
}
