//===- Header.cpp - An artefact as C --------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Artefact/Header.h"
#include "kvq/Support/Float32Format.h"
#include <algorithm>

using namespace kvq;

/// A C string literal; octal escapes end after three digits by themselves.
static std::string literal(const std::string &text) {
  std::string result = "\"";
  for (unsigned char c : text) {
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '?') {
      result += char(c);
      continue;
    }
    result += '\\';
    for (int shift : {6, 3, 0})
      result += char('0' + ((c >> shift) & 7));
  }
  return result + '"';
}

/// A text inside a comment.
static std::string comment(const std::string &text) {
  std::string result;
  for (unsigned char c : text)
    result += c >= 0x20 && c < 0x7f && c != '*' && c != '\\' && c != '?' ? char(c) : '_';
  return result;
}

static std::string cType(const ManifestArgument &argument) {
  if (argument.type == "ptr")
    return "void *";
  return argument.type == "i32" ? "int32_t " : "int64_t ";
}

/// A size as a C expression over the struct `args`.
static std::string expression(const LaunchSize &size) {
  switch (size.kind) {
  case LaunchSize::Kind::Number:
    return "INT64_C(" + std::to_string(size.number) + ")";
  case LaunchSize::Kind::Argument:
    return "(int64_t)args->" + size.argument;
  default:
    return "kvq_" + std::string(launchSizeKey(size.kind)) + "(" + expression(size.operands[0]) +
           ", " + expression(size.operands[1]) + ")";
  }
}

/// Targets are told apart by a prefix: they share symbols.
static std::string prefixOf(const ManifestKernel &kernel) {
  return kernel.target + "_" + kernel.symbol;
}

static void appendKernel(const ManifestKernel &kernel, std::string &text) {
  std::string prefix = prefixOf(kernel), count = std::to_string(kernel.args.size());
  text += "\n/* " + kernel.target + ": " + comment(kernel.op) + ", " + comment(kernel.layout) +
          ", " + comment(kernel.sourceType) + " and " + comment(kernel.cacheType) + ", " +
          std::to_string(kernel.numKVHeads) + " heads of " + std::to_string(kernel.headSize) +
          ", blocks of " + std::to_string(kernel.blockSize) + " */\n";
  text += "static const char " + prefix + "_symbol[] = " + literal(kernel.symbol) + ";\n";
  text += "enum {\n  " + prefix + "_num_kv_heads = " + std::to_string(kernel.numKVHeads) + ",\n  " +
          prefix + "_head_size = " + std::to_string(kernel.headSize) + ",\n  " + prefix +
          "_block_size = " + std::to_string(kernel.blockSize) + "\n};\n";
  text += "typedef struct " + prefix + "_args {\n";
  for (const ManifestArgument &argument : kernel.args) {
    text += "  " + cType(argument) + argument.name + ";";
    if (argument.align)
      text += " /* aligned to " + std::to_string(*argument.align) + " bytes */";
    if (argument.divisible)
      text += " /* a multiple of " + std::to_string(*argument.divisible) + " elements */";
    text += "\n";
  }
  text += "} " + prefix + "_args;\n";

  if (kernel.target == "host") {
    text += "void " + kernel.symbol + "(";
    for (size_t i = 0; i < kernel.args.size(); ++i)
      text += (i ? ", " : "") + cType(kernel.args[i]) + kernel.args[i].name;
    text += ");\n";
  }
  text += "static inline kvq_launch " + prefix + "_geometry(const " + prefix + "_args *args) {\n";
  text += "  kvq_launch launch;\n  (void)args;\n";
  for (size_t i = 0; i < 3; ++i) {
    std::string index = "[" + std::to_string(i) + "] = ";
    text += "  launch.grid" + index + expression(kernel.grid[i]) + ";\n";
    text += "  launch.block" + index + expression(kernel.block[i]) + ";\n";
  }
  text += "  launch.shared_bytes = " + std::to_string(kernel.sharedBytes) + ";\n";
  text += "  return launch;\n}\n";
  text += "/* Pointers to the arguments, in order, as cuLaunchKernel takes them. */\n";
  text += "static inline void " + prefix + "_params(" + prefix + "_args *args, void *params[" +
          count + "]) {\n";
  for (size_t i = 0; i < kernel.args.size(); ++i)
    text += "  params[" + std::to_string(i) + "] = &args->" + kernel.args[i].name + ";\n";
  text += "}\n";
}

namespace {

/// What kvq_layer has a symbol of: an operation, or one of its variants.
struct LayerMember {
  std::string op, variant;

  std::string name() const { return variant.empty() ? op : op + "_" + variant; }
  bool operator==(const LayerMember &other) const {
    return op == other.op && variant == other.variant;
  }
};

} // namespace

/// The symbol of a member of a layer; empty if it has none.
static std::string symbolOf(const ManifestLayerTarget &layer, const LayerMember &member) {
  for (const auto &[op, symbol] : layer.kernels)
    if (member == LayerMember{op, ""})
      return symbol;
  for (const ManifestVariant &variant : layer.variants)
    if (member == LayerMember{variant.op, variant.name})
      return variant.symbol;
  return "";
}

/// The members of all layers: store and load, other operations, and variants.
static std::vector<LayerMember> listMembers(const Manifest &manifest) {
  std::vector<LayerMember> members = {{"store", ""}, {"load", ""}};
  auto add = [&](const LayerMember &member) {
    if (std::find(members.begin(), members.end(), member) == members.end())
      members.push_back(member);
  };
  for (const ManifestLayer &layer : manifest.layers)
    for (const ManifestLayerTarget &target : layer.targets)
      for (const auto &kernel : target.kernels)
        add({kernel.first, ""});
  for (const ManifestLayer &layer : manifest.layers)
    for (const ManifestLayerTarget &target : layer.targets)
      for (const ManifestVariant &variant : target.variants)
        add({variant.op, variant.name});
  return members;
}

/// Whether a layer of the artefact has scales per head.
static bool hasHeadScales(const Manifest &manifest) {
  for (const ManifestLayer &layer : manifest.layers)
    for (const ManifestLayerTarget &target : layer.targets)
      for (size_t kind : kHeadScales)
        if (!target.headScales[kind].empty())
          return true;
  return false;
}

/// The array of a layer's scale per head, by the layer's place.
static std::string headArrayName(const std::string &target, size_t layer, size_t kind) {
  return "kvq_" + target + "_" + std::to_string(layer) + "_" + kLayerScales[kind] + "_scales";
}

static void appendHeadScales(const Manifest &manifest, size_t target, std::string &text) {
  for (size_t i = 0; i < manifest.layers.size(); ++i)
    for (size_t kind : kHeadScales) {
      const std::vector<float> &heads = manifest.layers[i].targets[target].headScales[kind];
      if (heads.empty())
        continue;
      text += "static const float " + headArrayName(manifest.targets[target].target, i, kind) +
              "[" + std::to_string(heads.size()) + "] = {";
      for (size_t head = 0; head < heads.size(); ++head)
        text += (head ? ", " : "") + formatFloat32(heads[head]) + "f";
      text += "};\n";
    }
}

static void appendLayers(const Manifest &manifest, const std::vector<LayerMember> &members,
                         size_t target, std::string &text) {
  const std::string &name = manifest.targets[target].target;
  const bool perHead = hasHeadScales(manifest);
  text += "\n/* The layers on " + name + ". */\n";
  text +=
      "enum { kvq_" + name + "_num_layers = " + std::to_string(manifest.layers.size()) + " };\n";
  appendHeadScales(manifest, target, text);
  text += "static const kvq_layer kvq_" + name + "_layers[] = {\n";
  for (size_t i = 0; i < manifest.layers.size(); ++i) {
    const ManifestLayer &layer = manifest.layers[i];
    const ManifestLayerTarget &entry = layer.targets[target];
    text += "  {" + literal(layer.name) + ", INT64_C(" + std::to_string(layer.index) + ")";
    for (size_t kind = 0; kind < entry.scales.size(); ++kind)
      text += ", " + (entry.headScales[kind].empty() ? formatFloat32(entry.scales[kind]) + "f"
                                                     : std::string("0.0f"));
    if (perHead)
      for (size_t kind : kHeadScales)
        text += ", " +
                (entry.headScales[kind].empty() ? std::string("0") : headArrayName(name, i, kind));
    text += entry.calculateKVScales ? ", 1" : ", 0";
    for (const LayerMember &member : members) {
      std::string symbol = symbolOf(entry, member);
      text += symbol.empty() ? std::string(", 0") : ", " + literal(symbol);
    }
    text += "},\n";
  }
  text += "};\n";
}

std::string kvq::toHeaderText(const Manifest &manifest) {
  std::string text = "/* Kernels and scales of a KV cache, by " + comment(manifest.producer) +
                     " from a checkpoint with\n   SHA-256 " + comment(manifest.sha256) +
                     ". The manifest beside this file says more. */\n";
  text += R"(#ifndef KVQ_KERNELS_H
#define KVQ_KERNELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A layer's resolved scales, and the symbols of its kernels (null: none). */
typedef struct kvq_layer {
  const char *name;
  int64_t index;
  float q_scale, k_scale, v_scale, prob_scale;
)";
  if (hasHeadScales(manifest))
    text +=
        R"(  /* One for each KV head; null where k_scale or v_scale is for all, which is 0 elsewhere. */
  const float *k_scales, *v_scales;
)";
  text += R"(  int calculate_kv_scales;
  const char )";
  const std::vector<LayerMember> members = listMembers(manifest);
  for (size_t i = 0; i < members.size(); ++i)
    text += (i ? ", *" : "*") + members[i].name();
  text += R"(;
} kvq_layer;

/* The geometry of a launch. One without tokens launches nothing. */
typedef struct kvq_launch {
  int64_t grid[3], block[3];
  int64_t shared_bytes;
} kvq_launch;

static inline int64_t kvq_ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0); }
static inline int64_t kvq_mul(int64_t a, int64_t b) { return a * b; }
static inline int64_t kvq_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t kvq_max(int64_t a, int64_t b) { return a < b ? b : a; }
)";
  for (size_t target = 0; target < manifest.targets.size(); ++target)
    appendLayers(manifest, members, target, text);
  for (const ManifestKernel &kernel : manifest.kernels)
    appendKernel(kernel, text);
  text += R"(
#ifdef __cplusplus
}
#endif

#endif /* KVQ_KERNELS_H */
)";
  return text;
}
