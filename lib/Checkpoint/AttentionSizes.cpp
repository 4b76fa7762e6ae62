//===- AttentionSizes.cpp - Heads and their sizes ------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GeometryReader.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;
using namespace kvq;

Expected<Count> GeometryReader::readKVHeads() {
  SmallVector<StringRef, 5> names = {"n_head_kv", "num_kv_heads", "num_key_value_heads",
                                     "multi_query_group_num", "num_attention_groups"};
  auto flag = [&](StringRef name, bool fallback) {
    const JsonValue *value = text.findValue(name);
    return value && value->kind == JsonValue::Kind::Bool ? value->boolean : fallback;
  };
  switch (row ? row->sizes : SizeRule::General) {
  case SizeRule::OneHeadEach:
    return Count(heads);
  case SizeRule::Falcon:
    if (!flag("new_decoder_architecture", false))
      return Count(flag("multi_query", true) ? 1 : heads);
    break;
  case SizeRule::Glm:
    if (!flag("multi_query_attention", false))
      return Count(heads);
    break;
  case SizeRule::AttentionConfig: {
    const JsonValue *attention = text.findValue("attn_config");
    Expected<Count> value = Count();
    if (attention)
      value = config.count(*attention, {"kv_n_heads"});
    if (!value || *value)
      return value;
    if (row->kvHeads)
      noteDefault("kv_n_heads", row->kvHeads);
    return Count(row->kvHeads ? row->kvHeads : heads);
  }
  default:
    break;
  }
  // Absent, it is the class's default; an explicit null is as many as heads.
  bool isNull = text.find("num_key_value_heads") != nullptr;
  Expected<Count> value = count(names, row && !isNull ? row->kvHeads : 0);
  if (!value || *value)
    return value;
  return Count(heads);
}

Expected<Count> GeometryReader::readHeadSize() {
  SizeRule rule = row ? row->sizes : SizeRule::General;
  SmallVector<StringRef, 4> names = {"head_dim", "hidden_size_per_head"};
  if (rule == SizeRule::Glm)
    names = {"kv_channels"};
  if (rule == SizeRule::DoubleHidden)
    names = {"attention_head_dim"};
  for (StringRef name : names) {
    const JsonValue *value = text.findValue(name);
    // Some files write 0 or -1 for 'not set'.
    if (!value || (value->kind == JsonValue::Kind::Number && value->number.value <= 0))
      continue;
    return config.count(text, {name});
  }
  if (row && row->headSize) {
    noteDefault(names.front(), row->headSize);
    return Count(row->headSize);
  }
  Expected<Count> hidden = count({"hidden_size", "n_embd", "d_model"}, row ? row->hidden : 0);
  if (!hidden || !*hidden)
    return hidden;
  int64_t width = **hidden * (rule == SizeRule::DoubleHidden ? 2 : 1);
  if (width % heads == 0)
    return Count(width / heads);
  miss("expected the hidden size (" + Twine(width) + ") to be a multiple of the heads (" +
       Twine(heads) + ") where 'head_dim' is absent");
  return Count();
}

/// Multi-head latent attention: one row of kv_lora_rank + qk_rope_head_dim.
Expected<bool> GeometryReader::readLatent(LayerGeometry &latent) {
  const JsonValue *rankValue = text.find("kv_lora_rank");
  bool applies = row ? row->sizes == SizeRule::Latent : rankValue && !rankValue->isNull();
  if (!applies || (rankValue && rankValue->isNull()))
    return false;
  Expected<Count> rank = count({"kv_lora_rank"}, row ? 512 : 0);
  if (!rank)
    return rank.takeError();
  Expected<Count> rope = count({"qk_rope_head_dim"}, row ? 64 : 0);
  if (!rope)
    return rope.takeError();
  if (!*rope) {
    miss("expected 'qk_rope_head_dim' beside 'kv_lora_rank'");
    return true;
  }
  latent.numHeads = heads;
  latent.numKVHeads = 1;
  latent.headSize = **rank + **rope;
  latent.kvLoraRank = **rank;
  latent.qkRopeHeadDim = **rope;
  return true;
}

std::optional<LayerGeometry> GeometryReader::makeGeometry(int64_t heads, int64_t kvHeads,
                                                          int64_t size) {
  if (heads % kvHeads != 0) {
    miss("expected the attention heads (" + Twine(heads) + ") to be a multiple of the KV heads (" +
         Twine(kvHeads) + ")");
    return std::nullopt;
  }
  LayerGeometry geometry;
  geometry.numHeads = heads;
  geometry.numKVHeads = kvHeads;
  geometry.headSize = size;
  return geometry;
}

Error GeometryReader::readSizes() {
  Expected<Count> numHeads =
      count({"num_attention_heads", "n_head", "n_heads"}, row ? row->heads : 0);
  if (!numHeads)
    return numHeads.takeError();
  if (!*numHeads) {
    miss("expected 'num_attention_heads'");
    return Error::success();
  }
  heads = **numHeads;

  LayerGeometry latent;
  Expected<bool> isLatent = readLatent(latent);
  if (!isLatent)
    return isLatent.takeError();
  if (*isLatent) {
    if (latent.headSize)
      result.common = latent;
    return Error::success();
  }

  Expected<Count> numKVHeads = readKVHeads();
  if (!numKVHeads)
    return numKVHeads.takeError();
  kvHeads = **numKVHeads;
  Expected<Count> size = readHeadSize();
  if (!size)
    return size.takeError();
  if (!*size) {
    miss("expected 'head_dim' or 'hidden_size'");
    return Error::success();
  }
  headSize = **size;
  Expected<Count> valueSize = config.count(text, {"v_head_dim"});
  if (!valueSize)
    return valueSize.takeError();
  if (*valueSize && **valueSize != headSize) {
    miss("expected keys and values of one head size, but got " + Twine(headSize) + " and " +
         Twine(**valueSize));
    return Error::success();
  }
  result.common = makeGeometry(heads, kvHeads, headSize);
  return Error::success();
}

Error GeometryReader::adaptBlocks() {
  Expected<const JsonValue *> blocks = list("block_configs");
  if (!blocks || !*blocks)
    return blocks.takeError();
  for (AttentionLayer &layer : result.layers) {
    if (size_t(layer.index) >= (*blocks)->elements.size())
      continue;
    const JsonValue *attention = (*blocks)->elements[layer.index].findValue("attention");
    if (!attention)
      continue;
    Expected<Count> group = config.count(*attention, {"n_heads_in_group"});
    if (!group)
      return group.takeError();
    if (!*group)
      continue;
    if (heads % **group != 0) {
      miss("expected the attention heads (" + Twine(heads) + ") to be a multiple of " +
           "'n_heads_in_group' (" + Twine(**group) + ")");
      layer.geometry.reset();
      continue;
    }
    layer.geometry = makeGeometry(heads, heads / **group, headSize);
  }
  return Error::success();
}

/// Gemma 4: layers of full attention have sizes of their own.
Error GeometryReader::adaptGlobalLayers() {
  Expected<Count> size = count({"global_head_dim"}, 512);
  if (!size)
    return size.takeError();
  Expected<Count> globalHeads = config.count(text, {"num_global_key_value_heads"});
  if (!globalHeads)
    return globalHeads.takeError();
  const JsonValue *shared = text.find("attention_k_eq_v");
  int64_t kv = shared && shared->boolean ? globalHeads->value_or(kvHeads) : kvHeads;
  int64_t last = result.layers.empty() ? 0 : result.layers.back().index;
  for (AttentionLayer &layer : result.layers) {
    bool isFull = words.empty() ? (layer.index + 1) % 6 == 0 || layer.index == last
                                : words[layer.index] == "full_attention";
    if (isFull)
      layer.geometry = makeGeometry(heads, kv, **size);
  }
  return Error::success();
}

/// MiMo: layers of sliding attention have sizes of their own.
Error GeometryReader::adaptSlidingLayers() {
  Expected<const JsonValue *> pattern = list("hybrid_layer_pattern");
  if (!pattern || !*pattern)
    return pattern.takeError();
  Expected<Count> swaHeads = config.count(text, {"swa_num_attention_heads"});
  if (!swaHeads)
    return swaHeads.takeError();
  Expected<Count> swaKVHeads = config.count(text, {"swa_num_key_value_heads"});
  if (!swaKVHeads)
    return swaKVHeads.takeError();
  Expected<Count> swaSize = config.count(text, {"swa_head_dim"});
  if (!swaSize)
    return swaSize.takeError();
  for (AttentionLayer &layer : result.layers)
    if (size_t(layer.index) < (*pattern)->elements.size() &&
        (*pattern)->elements[layer.index].number.natural == uint64_t(1))
      layer.geometry = makeGeometry(swaHeads->value_or(heads), swaKVHeads->value_or(kvHeads),
                                    swaSize->value_or(headSize));
  return Error::success();
}

/// What differs between layers.
Error GeometryReader::adaptLayers() {
  if (!row || !result.common)
    return Error::success();
  switch (row->sizes) {
  case SizeRule::Blocks:
    return adaptBlocks();
  case SizeRule::GlobalLayers:
    return adaptGlobalLayers();
  case SizeRule::SlidingLayers:
    return adaptSlidingLayers();
  default:
    return Error::success();
  }
}
