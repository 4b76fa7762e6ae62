//===- KernelFields.cpp - A manifest's kernels as texts -------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelFields.h"
#include "kvq/Support/Float32Format.h"

using namespace kvq;

std::string kvq::describe(const LaunchSize &size) {
  switch (size.kind) {
  case LaunchSize::Kind::Number:
    return std::to_string(size.number);
  case LaunchSize::Kind::Argument:
    return size.argument;
  default:
    return launchSizeKey(size.kind) + ("(" + describe(size.operands[0])) + ", " +
           describe(size.operands[1]) + ")";
  }
}

std::string kvq::describe(const std::array<LaunchSize, 3> &sizes) {
  return "[" + describe(sizes[0]) + ", " + describe(sizes[1]) + ", " + describe(sizes[2]) + "]";
}

std::string kvq::describe(const std::vector<float> &heads) {
  std::string text;
  for (float number : heads)
    text += (text.empty() ? "[" : ", ") + formatFloat32(number);
  return text + "]";
}

std::string kvq::describe(const ManifestScale &scale) {
  if (!scale.headValues.empty())
    return describe(scale.headValues) + " by " + scale.method;
  return scale.value ? formatFloat32(*scale.value) + " by " + scale.method : scale.method;
}

static std::string describeArgument(const ManifestArgument &argument) {
  std::string text = argument.type + " " + argument.name;
  if (argument.align)
    text += " align " + std::to_string(*argument.align);
  if (argument.divisible)
    text += " divisible " + std::to_string(*argument.divisible);
  return text;
}

static std::string truth(bool value) { return value ? "true" : "false"; }

Fields kvq::fieldsOf(const ManifestKernel &kernel) {
  Fields fields = {
      {"op", kernel.op},
      {"layout", kernel.layout},
      {"source_type", kernel.sourceType},
      {"cache_type", kernel.cacheType},
      {"num_kv_heads", std::to_string(kernel.numKVHeads)},
      {"head_size", std::to_string(kernel.headSize)},
      {"block_size", std::to_string(kernel.blockSize)},
      {"kv_lora_rank", std::to_string(kernel.kvLoraRank)},
      {"num_heads", std::to_string(kernel.numHeads)},
      {"padding_slot", std::to_string(kernel.paddingSlot)},
      {"bounds", kernel.bounds.empty() ? "none" : kernel.bounds},
  };
  for (const auto &[name, constant] : kernel.scaleConstants)
    fields.emplace_back(name + " scale constant", formatFloat32(constant));
  for (const auto &[name, scale] : kernel.scales) {
    std::string tried = scale.tried ? ", " + std::to_string(*scale.tried) + " tried" : "";
    fields.emplace_back(name + " scale", describe(scale) + tried);
  }
  std::string arguments;
  for (const ManifestArgument &argument : kernel.args)
    arguments += (arguments.empty() ? "" : ", ") + describeArgument(argument);
  fields.emplace_back("args", "(" + arguments + ")");
  fields.emplace_back("block", describe(kernel.block));
  fields.emplace_back("grid", describe(kernel.grid));
  fields.emplace_back("shared_bytes", std::to_string(kernel.sharedBytes));
  return fields;
}

Fields kvq::fieldsOf(const ManifestTarget &target) {
  Fields fields = {{"backend", target.backend},
                   {"fnuz", truth(target.fnuz)},
                   {"cache_type", target.cacheType.value_or("null")}};
  for (const auto &[kind, file] : target.files)
    fields.emplace_back(kind, file);
  return fields;
}

Fields kvq::fieldsOf(const ManifestLayerTarget &layer) {
  Fields fields;
  for (size_t index = 0; index < layer.scales.size(); ++index)
    fields.emplace_back(kLayerScales[index], layer.headScales[index].empty()
                                                 ? formatFloat32(layer.scales[index])
                                                 : describe(layer.headScales[index]));
  fields.emplace_back("calculate_kv_scales", truth(layer.calculateKVScales));
  for (const auto &[op, symbol] : layer.kernels)
    fields.emplace_back(op, symbol);
  for (const ManifestVariant &variant : layer.variants)
    fields.emplace_back(variant.op + " " + variant.name, variant.symbol);
  return fields;
}
