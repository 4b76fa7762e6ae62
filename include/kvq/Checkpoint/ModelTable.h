//===- ModelTable.h - What model types differ in ----------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One row per model type: the defaults of its configuration class, where its
// attention modules lie, which of its layers own a cache and how its sizes are
// found.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_CHECKPOINT_MODELTABLE_H
#define KVQ_CHECKPOINT_MODELTABLE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>

namespace kvq {

/// Where the attention modules lie; modulePatterns() has the texts.
enum class ModulePlace {
  Decoder,       // model.layers.N.self_attn, also below a multi-modal model
  NestedDecoder, // the same, most likely below 'language_model.'
  InnerDecoder,  // the same, most likely below 'model.language_model.'
  Falcon,
  Mpt,
  Dbrx,
  NeoX,
  Opt,
  Gpt2,
  Bloom,
  Glm,
  Mixer,
  SharedBlock,
};

/// Which layers own a cache where `layer_types` does not say.
enum class CacheRule {
  All,
  Interval,       // every full_attention_interval-th
  Period,         // N % attn_layer_period = attn_layer_offset
  Indices,        // attn_layer_indices
  FullIndices,    // full_attn_idxs, else all
  AttentionTypes, // attn_type_list, else every other one
  HybridPattern,  // hybrid_override_pattern
  Blocks,         // block_configs
  SharedTail,     // all but the last num_kv_shared_layers
  Cross,          // all; those of cross_attention_layers in another module
  ListedOnly,     // those that layer_types names, else none
  None,
};

/// How heads and sizes are found.
enum class SizeRule {
  General,
  Latent, // multi-head latent attention where kv_lora_rank is set
  Falcon,
  AttentionConfig, // attn_config.kv_n_heads
  Glm,             // kv_channels, multi_query_attention
  OneHeadEach,     // as many KV heads as heads, whatever else is said
  DoubleHidden,    // attention_head_dim, else 2 * hidden / heads
  GlobalLayers,    // full layers have global_head_dim
  Blocks,          // KV heads from block_configs
  SlidingLayers,   // swa_* where hybrid_layer_pattern is 1
};

struct ModelRow {
  llvm::StringLiteral type;
  /// The class's defaults; 0 where it has none. kvHeads 0 is as many as heads,
  /// headSize 0 is hidden / heads.
  int32_t layers, heads, kvHeads, hidden, headSize;
  ModulePlace place;
  CacheRule caches;
  SizeRule sizes;
};

/// Null for a type that the table does not have.
const ModelRow *lookUpModel(llvm::StringRef type);

llvm::ArrayRef<ModelRow> allModels();

/// '{}' stands for the layer's number. The likeliest comes first.
llvm::ArrayRef<llvm::StringLiteral> modulePatterns(ModulePlace place);

} // namespace kvq

#endif // KVQ_CHECKPOINT_MODELTABLE_H
