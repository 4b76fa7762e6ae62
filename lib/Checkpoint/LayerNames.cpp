//===- LayerNames.cpp - Which tensor belongs to which layer ---------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/LayerNames.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include <set>

using namespace llvm;
using namespace kvq;

/// Whether `name` lies below some layer's module: `before` and `after` are the
/// two sides of the number in a pattern.
static bool liesBelow(StringRef name, StringRef before, StringRef after) {
  if (!name.consume_front(before))
    return false;
  StringRef digits = name.take_while(isDigit);
  name = name.drop_front(digits.size());
  return !digits.empty() && name.consume_front(after) && name.starts_with(".");
}

namespace {

class LayerNamer {
public:
  LayerNamer(const ModelGeometry &geometry, const ShardSet &shards)
      : geometry(geometry), shards(shards) {}

  Expected<NamedLayers> run();

private:
  const ModelGeometry &geometry;
  const ShardSet &shards;
  NamedLayers result;
  StringMap<size_t> layerByName;
  std::vector<std::string> nearMisses;

  std::optional<std::string> choosePattern();
  void addKnownLayers(StringRef pattern);
  void addLayersOfNames();
  void addLayer(NamedLayer layer);
  Error match(StringRef tensor);
  bool matchZeroPoint(StringRef tensor);
  bool matchBelowLayer(StringRef tensor);
  void finish();
};

} // namespace

/// The pattern that most tensors follow; nullopt if none does.
std::optional<std::string> LayerNamer::choosePattern() {
  std::vector<size_t> counts(geometry.patterns.size());
  for (auto [pattern, count] : zip(geometry.patterns, counts)) {
    auto [before, after] = StringRef(pattern).split("{}");
    for (const Shard &shard : shards.shards())
      for (const TensorEntry &tensor : shard.header.tensors)
        count += liesBelow(tensor.name, before, after);
  }
  if (counts.empty())
    return std::nullopt;
  size_t best = std::max_element(counts.begin(), counts.end()) - counts.begin();
  if (counts[best] == 0)
    return std::nullopt;
  std::vector<std::string> others;
  for (auto [index, pattern] : enumerate(geometry.patterns))
    if (index != best && counts[index] != 0)
      others.push_back(pattern);
  if (!others.empty())
    result.notes.push_back("attention layers are those of " + quoteName(geometry.patterns[best]) +
                           "; tensors lie below " + quoteNames(others) + " too");
  return geometry.patterns[best];
}

void LayerNamer::addLayer(NamedLayer layer) {
  if (layerByName.try_emplace(layer.name, result.layers.size()).second)
    result.layers.push_back(std::move(layer));
}

void LayerNamer::addKnownLayers(StringRef pattern) {
  for (const AttentionLayer &layer : geometry.layers) {
    NamedLayer named;
    named.name = layerName(layer.pattern.empty() ? pattern : StringRef(layer.pattern), layer.index,
                           layer.module);
    named.layer = layer;
    addLayer(std::move(named));
  }
}

/// The last component of a module's path that is a number.
static std::optional<int64_t> layerNumber(StringRef module) {
  while (!module.empty()) {
    auto [rest, last] = module.rsplit('.');
    if (last.empty() && rest.size() == module.size())
      last = rest;
    int64_t number;
    if (!last.empty() && all_of(last, isDigit) && !last.getAsInteger(10, number) &&
        number < maxCount)
      return number;
    if (rest.size() == module.size())
      break;
    module = rest;
  }
  return std::nullopt;
}

/// Without a known architecture a layer is what precedes a scale's suffix.
void LayerNamer::addLayersOfNames() {
  std::set<std::string> ambiguous;
  auto addLayerOf = [&](StringRef tensor) {
    const ScaleName *longest = nullptr;
    for (const ScaleName &rule : scaleNames())
      if (tensor.ends_with(rule.suffix) &&
          (!longest || rule.suffix.size() > longest->suffix.size()))
        longest = &rule;
    if (!longest)
      return;
    StringRef module = tensor.drop_back(longest->suffix.size());
    // 'h.0.attn.k_scale' is gpt2's 'h.0.attn' with '.k_scale', while
    // 'layers.0.self_attn.attn.k_scale' is '....self_attn' with '.attn.k_scale'.
    StringRef last = module.substr(module.rfind('.') + 1);
    if (longest->form == NameForm::Engine && !last.empty() && all_of(last, isDigit)) {
      module = tensor.take_front(module.size() + StringRef(".attn").size());
      ambiguous.insert(module.str());
    }
    std::optional<int64_t> number = layerNumber(module);
    if (module.empty() || !number)
      return;
    NamedLayer named;
    named.name = module.str();
    named.layer.index = *number;
    named.layer.geometry = geometry.common;
    addLayer(std::move(named));
  };
  for (const Shard &shard : shards.shards())
    for (const TensorEntry *tensor : shard.candidates)
      addLayerOf(tensor->name);
  if (!ambiguous.empty())
    result.notes.push_back(
        "the architecture is unknown: scales directly below " +
        quoteNames(std::vector<std::string>(ambiguous.begin(), ambiguous.end()), 2) +
        " are taken for those of a module of that name, not for an engine's parameters");
}

/// A scale or a look-alike below a known layer.
bool LayerNamer::matchBelowLayer(StringRef tensor) {
  for (const ScaleName &rule : scaleNames()) {
    if (!tensor.ends_with(rule.suffix))
      continue;
    auto found = layerByName.find(tensor.drop_back(rule.suffix.size()));
    if (found == layerByName.end())
      continue;
    result.layers[found->second].scales.push_back({&rule, tensor.str()});
    return true;
  }
  for (size_t dot = tensor.rfind('.'); dot != StringRef::npos && dot != 0;
       dot = tensor.rfind('.', dot - 1)) {
    auto found = layerByName.find(tensor.take_front(dot));
    if (found == layerByName.end())
      continue;
    StringRef rest = tensor.drop_front(dot);
    if (!looksLikeScale(rest))
      return true;
    nearMisses.push_back(("tensor " + quoteName(tensor) +
                          " looks like a scale but matches no rule; the nearest is " +
                          quoteName((found->first() + nearestScaleName(rest).suffix).str())));
    result.unused.push_back(tensor.str());
    return true;
  }
  return false;
}

bool LayerNamer::matchZeroPoint(StringRef tensor) {
  for (StringRef suffix : zeroPointSuffixes()) {
    if (!tensor.ends_with(suffix))
      continue;
    auto found = layerByName.find(tensor.drop_back(suffix.size()));
    if (found == layerByName.end())
      continue;
    result.layers[found->second].zeroPoints.push_back(tensor.str());
    return true;
  }
  return false;
}

Error LayerNamer::match(StringRef tensor) {
  if (tensor.ends_with("_zero_point")) {
    matchZeroPoint(tensor);
    return Error::success();
  }
  if (!tensor.contains("scale"))
    return Error::success();
  if (tensor.contains('\0'))
    return createStringError(inconvertibleErrorCode(),
                             "the tensor " + quoteName(tensor) + " has a NUL in its name");
  if (matchBelowLayer(tensor))
    return Error::success();
  if (any_of(scaleNames(), [&](const ScaleName &rule) { return tensor.ends_with(rule.suffix); }))
    result.unused.push_back(tensor.str());
  return Error::success();
}

void LayerNamer::finish() {
  erase_if(result.layers,
           [](const NamedLayer &layer) { return layer.layer.optional && layer.scales.empty(); });
  for (NamedLayer &layer : result.layers) {
    llvm::sort(layer.scales, [](const NamedScale &a, const NamedScale &b) {
      return std::tie(a.rule, a.tensor) < std::tie(b.rule, b.tensor);
    });
    llvm::sort(layer.zeroPoints);
  }
  llvm::sort(result.layers, [](const NamedLayer &a, const NamedLayer &b) {
    return std::tie(a.layer.index, a.name) < std::tie(b.layer.index, b.name);
  });
  llvm::sort(result.unused);
  llvm::sort(nearMisses);
  constexpr size_t most = 16;
  for (const std::string &note : ArrayRef<std::string>(nearMisses).take_front(most))
    result.notes.push_back(note);
  if (nearMisses.size() > most)
    result.notes.push_back(utostr(nearMisses.size() - most) +
                           " more tensors look like scales but match no rule");
}

Expected<NamedLayers> LayerNamer::run() {
  std::optional<std::string> pattern = choosePattern();
  bool usable = geometry.knownLayers && (geometry.knownType || pattern);
  if (usable) {
    if (!geometry.knownType)
      result.notes.push_back("unknown model_type; its attention layers are taken to be those of " +
                             quoteName(*pattern));
    addKnownLayers(pattern.value_or(geometry.patterns.front()));
  } else {
    addLayersOfNames();
  }
  StringSet<> seen;
  for (const Shard &shard : shards.shards())
    for (const TensorEntry *tensor : shard.candidates)
      if (seen.insert(tensor->name).second)
        if (Error error = match(tensor->name))
          return error;
  finish();
  return result;
}

Expected<NamedLayers> kvq::nameLayers(const ModelGeometry &geometry, const ShardSet &shards) {
  return LayerNamer(geometry, shards).run();
}
