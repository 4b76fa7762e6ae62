//===- LayerCaches.cpp - Which layers own a cache ------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GeometryReader.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace llvm;
using namespace kvq;

Error GeometryReader::readWords(int64_t numLayers) {
  for (StringRef name : {"layer_types", "layers_block_type"}) {
    Expected<const JsonValue *> types = list(name, numLayers);
    if (!types)
      return types.takeError();
    if (!*types)
      continue;
    for (const JsonValue &element : (*types)->elements) {
      if (!element.isString())
        return config.unexpected(name, "a list of strings", element);
      words.push_back(element.string);
    }
    return Error::success();
  }
  return Error::success();
}

/// Whether a layer of that type owns a cache; nullopt for an unknown word.
static std::optional<bool> ownsCache(StringRef word) {
  return StringSwitch<std::optional<bool>>(word)
      .Cases({"full_attention", "sliding_attention", "chunked_attention", "attention", "hybrid"},
             true)
      .Cases({"linear_attention", "mamba", "mamba2", "conv", "recurrent", "moe", "mlp"}, false)
      .Default(std::nullopt);
}

Expected<std::vector<bool>> GeometryReader::cacheOwners(int64_t numLayers) {
  CacheRule rule = row ? row->caches : CacheRule::All;
  std::vector<bool> owners(numLayers, rule != CacheRule::None);
  if (Error error = readWords(numLayers))
    return error;
  auto keepOnly = [&](ArrayRef<int64_t> kept) {
    owners.assign(numLayers, false);
    for (int64_t index : kept)
      owners[index] = true;
  };
  if (!words.empty()) {
    std::vector<std::string> unknown;
    for (auto [index, word] : enumerate(words)) {
      std::optional<bool> owns = ownsCache(word);
      owners[index] = owns.value_or(true);
      if (!owns && !is_contained(unknown, word))
        unknown.push_back(word.str());
    }
    if (!unknown.empty())
      result.notes.push_back("unknown layer types are taken to own a cache: " +
                             quoteNames(unknown));
    if (rule != CacheRule::SharedTail)
      return owners;
  }
  switch (rule) {
  case CacheRule::All:
  case CacheRule::Cross:
  case CacheRule::None:
    break;
  case CacheRule::ListedOnly:
    owners.assign(numLayers, false);
    break;
  case CacheRule::Interval: {
    Expected<Count> interval = count({"full_attention_interval"}, 4);
    if (!interval)
      return interval.takeError();
    for (int64_t i = 0; i < numLayers; ++i)
      owners[i] = (i + 1) % **interval == 0;
    break;
  }
  case CacheRule::Period: {
    Expected<Count> period = count({"attn_layer_period"}, 8);
    if (!period)
      return period.takeError();
    Expected<int64_t> offset = natural("attn_layer_offset", 4);
    if (!offset)
      return offset.takeError();
    for (int64_t i = 0; i < numLayers; ++i)
      owners[i] = i % **period == *offset;
    break;
  }
  case CacheRule::Indices:
  case CacheRule::FullIndices: {
    StringRef name = rule == CacheRule::Indices ? "attn_layer_indices" : "full_attn_idxs";
    Expected<std::vector<int64_t>> kept = indices(name, numLayers);
    if (!kept)
      return kept.takeError();
    if (rule == CacheRule::Indices || text.findValue(name))
      keepOnly(*kept);
    break;
  }
  case CacheRule::AttentionTypes: {
    Expected<const JsonValue *> types = list("attn_type_list", numLayers);
    if (!types)
      return types.takeError();
    for (int64_t i = 0; i < numLayers; ++i)
      owners[i] = *types ? (*types)->elements[i].number.natural == uint64_t(1) : i % 2 == 0;
    break;
  }
  case CacheRule::HybridPattern: {
    StringRef pattern = text.findString("hybrid_override_pattern");
    if (pattern.empty())
      miss("expected 'hybrid_override_pattern' or 'layers_block_type'");
    for (int64_t i = 0; i < numLayers; ++i)
      owners[i] = !pattern.empty() && pattern[i] == '*';
    break;
  }
  case CacheRule::Blocks: {
    Expected<const JsonValue *> blocks = list("block_configs", numLayers);
    if (!blocks)
      return blocks.takeError();
    if (!*blocks) {
      miss("expected 'block_configs'");
      break;
    }
    for (int64_t i = 0; i < numLayers; ++i) {
      const JsonValue *attention = (*blocks)->elements[i].find("attention");
      for (StringRef name : {"no_op", "replace_with_linear"})
        if (const JsonValue *flag = attention ? attention->find(name) : nullptr;
            flag && flag->boolean)
          owners[i] = false;
    }
    break;
  }
  case CacheRule::SharedTail: {
    bool isGemma3n = type.starts_with("gemma3n");
    Expected<int64_t> shared = natural("num_kv_shared_layers", isGemma3n ? 15 : 0);
    if (!shared)
      return shared.takeError();
    if (isGemma3n && !text.findValue("num_kv_shared_layers"))
      noteDefault("num_kv_shared_layers", *shared);
    for (int64_t i = std::max<int64_t>(0, numLayers - *shared); i < numLayers; ++i)
      owners[i] = false;
    break;
  }
  }
  return owners;
}
