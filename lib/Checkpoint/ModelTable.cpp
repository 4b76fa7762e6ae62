//===- ModelTable.cpp - What model types differ in ------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/ModelTable.h"

using namespace llvm;
using namespace kvq;

// The defaults are those of the configuration classes of transformers 5.24;
// types with code of their own have none where that code could not be read.
static constexpr ModelRow models[] = {
    // type, layers, heads, KV heads, hidden, head size, place, caches, sizes
    {"llama", 32, 32, 0, 4096, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"mistral", 32, 32, 8, 4096, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"mixtral", 32, 32, 8, 4096, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"qwen2", 32, 32, 32, 4096, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"qwen2_moe", 24, 16, 16, 2048, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"qwen3", 32, 32, 32, 4096, 128, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"qwen3_moe", 24, 32, 4, 2048, 128, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"phi3", 32, 32, 0, 3072, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"cohere", 40, 64, 0, 8192, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"cohere2", 40, 64, 0, 8192, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"granite", 32, 32, 0, 4096, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"granitemoe", 32, 32, 0, 4096, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"olmo", 32, 32, 0, 4096, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"olmo2", 32, 32, 0, 4096, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"nemotron", 32, 48, 0, 6144, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"starcoder2", 30, 24, 2, 3072, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"gemma", 28, 16, 16, 3072, 256, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"gemma2", 26, 8, 4, 2304, 256, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"gpt_oss", 36, 64, 8, 2880, 64, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"gemma3", 26, 8, 4, 2304, 256, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"gemma3_text", 26, 8, 4, 2304, 256, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"gemma3n", 35, 8, 2, 2048, 256, ModulePlace::Decoder, CacheRule::SharedTail,
     SizeRule::General},
    {"gemma3n_text", 35, 8, 2, 2048, 256, ModulePlace::Decoder, CacheRule::SharedTail,
     SizeRule::General},
    {"gemma4", 30, 8, 4, 2304, 256, ModulePlace::Decoder, CacheRule::SharedTail,
     SizeRule::GlobalLayers},
    {"gemma4_text", 30, 8, 4, 2304, 256, ModulePlace::Decoder, CacheRule::SharedTail,
     SizeRule::GlobalLayers},
    {"deepseek_v2", 32, 32, 0, 4096, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::Latent},
    {"deepseek_v3", 61, 128, 128, 7168, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::Latent},
    {"deepseek_v32", 61, 128, 128, 7168, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::Latent},
    {"kimi_k2", 61, 64, 64, 7168, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::Latent},
    {"falcon", 32, 71, 0, 4544, 0, ModulePlace::Falcon, CacheRule::All, SizeRule::Falcon},
    {"mpt", 24, 16, 0, 2048, 0, ModulePlace::Mpt, CacheRule::All, SizeRule::AttentionConfig},
    {"dbrx", 24, 16, 1, 2048, 0, ModulePlace::Dbrx, CacheRule::All, SizeRule::AttentionConfig},
    {"gpt_neox", 44, 64, 0, 6144, 0, ModulePlace::NeoX, CacheRule::All, SizeRule::General},
    {"opt", 12, 12, 0, 768, 0, ModulePlace::Opt, CacheRule::All, SizeRule::General},
    {"gpt2", 12, 12, 0, 768, 0, ModulePlace::Gpt2, CacheRule::All, SizeRule::General},
    {"gptj", 28, 16, 0, 4096, 0, ModulePlace::Gpt2, CacheRule::All, SizeRule::General},
    {"bloom", 2, 8, 0, 64, 0, ModulePlace::Bloom, CacheRule::All, SizeRule::General},
    {"chatglm", 0, 0, 0, 0, 0, ModulePlace::Glm, CacheRule::All, SizeRule::Glm},
    {"baichuan", 0, 0, 0, 0, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::OneHeadEach},
    {"llama4", 48, 40, 8, 5120, 128, ModulePlace::NestedDecoder, CacheRule::All, SizeRule::General},
    {"llama4_text", 48, 40, 8, 5120, 128, ModulePlace::NestedDecoder, CacheRule::All,
     SizeRule::General},
    {"mllama", 40, 32, 8, 4096, 0, ModulePlace::NestedDecoder, CacheRule::Cross, SizeRule::General},
    {"mllama_text_model", 40, 32, 8, 4096, 0, ModulePlace::NestedDecoder, CacheRule::Cross,
     SizeRule::General},
    {"nemotron_h", 0, 32, 8, 4096, 128, ModulePlace::Mixer, CacheRule::HybridPattern,
     SizeRule::General},
    {"nemotron-nas", 0, 0, 0, 0, 0, ModulePlace::Decoder, CacheRule::Blocks, SizeRule::Blocks},
    {"jamba", 32, 32, 8, 4096, 0, ModulePlace::Decoder, CacheRule::Period, SizeRule::General},
    {"bamba", 32, 32, 8, 4096, 0, ModulePlace::Decoder, CacheRule::Indices, SizeRule::General},
    {"granitemoehybrid", 32, 32, 0, 4096, 0, ModulePlace::Decoder, CacheRule::ListedOnly,
     SizeRule::General},
    {"lfm2", 32, 32, 8, 2560, 0, ModulePlace::Decoder, CacheRule::FullIndices, SizeRule::General},
    {"minimax", 32, 32, 8, 4096, 0, ModulePlace::Decoder, CacheRule::AttentionTypes,
     SizeRule::General},
    {"falcon_h1", 32, 32, 8, 4096, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::General},
    {"zamba2", 54, 32, 0, 2560, 0, ModulePlace::SharedBlock, CacheRule::ListedOnly,
     SizeRule::DoubleHidden},
    {"mamba", 32, 0, 0, 768, 0, ModulePlace::Mixer, CacheRule::None, SizeRule::General},
    {"mamba2", 64, 0, 0, 4096, 0, ModulePlace::Mixer, CacheRule::None, SizeRule::General},
    {"qwen3_next", 48, 16, 2, 2048, 256, ModulePlace::Decoder, CacheRule::Interval,
     SizeRule::General},
    {"qwen3_5", 32, 16, 4, 4096, 256, ModulePlace::InnerDecoder, CacheRule::Interval,
     SizeRule::General},
    {"qwen3_5_text", 32, 16, 4, 4096, 256, ModulePlace::InnerDecoder, CacheRule::Interval,
     SizeRule::General},
    {"qwen3_5_moe", 40, 16, 2, 2048, 256, ModulePlace::InnerDecoder, CacheRule::Interval,
     SizeRule::General},
    {"qwen3_5_moe_text", 40, 16, 2, 2048, 256, ModulePlace::InnerDecoder, CacheRule::Interval,
     SizeRule::General},
    {"mimo_v2", 0, 0, 0, 0, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::SlidingLayers},
    {"mimo_v2_flash", 0, 0, 0, 0, 0, ModulePlace::Decoder, CacheRule::All, SizeRule::SlidingLayers},
};

ArrayRef<ModelRow> kvq::allModels() { return models; }

const ModelRow *kvq::lookUpModel(StringRef type) {
  for (const ModelRow &row : models)
    if (row.type == type)
      return &row;
  return nullptr;
}

ArrayRef<StringLiteral> kvq::modulePatterns(ModulePlace place) {
  static constexpr StringLiteral decoder[] = {"model.layers.{}.self_attn",
                                              "language_model.model.layers.{}.self_attn",
                                              "model.language_model.layers.{}.self_attn"};
  static constexpr StringLiteral nested[] = {decoder[1], decoder[2], decoder[0]};
  static constexpr StringLiteral inner[] = {decoder[2], decoder[1], decoder[0]};
  static constexpr StringLiteral falcon[] = {"transformer.h.{}.self_attention"};
  static constexpr StringLiteral mpt[] = {"transformer.blocks.{}.attn"};
  static constexpr StringLiteral dbrx[] = {"transformer.blocks.{}.norm_attn_norm.attn"};
  static constexpr StringLiteral neoX[] = {"gpt_neox.layers.{}.attention"};
  static constexpr StringLiteral opt[] = {"model.decoder.layers.{}.self_attn",
                                          "decoder.layers.{}.self_attn"};
  static constexpr StringLiteral gpt2[] = {"transformer.h.{}.attn", "h.{}.attn"};
  static constexpr StringLiteral bloom[] = {"transformer.h.{}.self_attention",
                                            "h.{}.self_attention"};
  static constexpr StringLiteral glm[] = {"transformer.encoder.layers.{}.self_attention"};
  static constexpr StringLiteral mixer[] = {"backbone.layers.{}.mixer", "model.layers.{}.mixer"};
  // Not confirmed: no checkpoint with scales of such a model is known.
  static constexpr StringLiteral shared[] = {"model.layers.{}.shared_transformer.self_attn"};
  switch (place) {
  case ModulePlace::Decoder:
    return decoder;
  case ModulePlace::NestedDecoder:
    return nested;
  case ModulePlace::InnerDecoder:
    return inner;
  case ModulePlace::Falcon:
    return falcon;
  case ModulePlace::Mpt:
    return mpt;
  case ModulePlace::Dbrx:
    return dbrx;
  case ModulePlace::NeoX:
    return neoX;
  case ModulePlace::Opt:
    return opt;
  case ModulePlace::Gpt2:
    return gpt2;
  case ModulePlace::Bloom:
    return bloom;
  case ModulePlace::Glm:
    return glm;
  case ModulePlace::Mixer:
    return mixer;
  case ModulePlace::SharedBlock:
    return shared;
  }
  return {};
}
