//===- GeometryTest.cpp - Layers and sizes by model type ------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/Geometry.h"
#include "Fixture.h"
#include "kvq/Checkpoint/ModelTable.h"
#include "llvm/ADT/StringExtras.h"

using namespace kvq;
using namespace kvq::test;

namespace {

struct GeometryCase {
  const char *name;
  std::string json;
  /// The layers' numbers, then heads, KV heads and head size of the first.
  std::vector<int64_t> layers;
  int64_t heads, kvHeads, headSize;
  /// The first layer's name.
  const char *first;
};

void PrintTo(const GeometryCase &test, std::ostream *out) { *out << test.name; }

const GeometryCase cases[] = {
    {"Llama",
     R"({"model_type":"llama","num_hidden_layers":2,"num_attention_heads":32,
       "num_key_value_heads":8,"hidden_size":4096})",
     {0, 1},
     32,
     8,
     128,
     "model.layers.0.self_attn"},
    {"HeadDimWins",
     R"({"model_type":"llama","num_hidden_layers":1,"num_attention_heads":13,
       "num_key_value_heads":13,"hidden_size":64,"head_dim":46})",
     {0},
     13,
     13,
     46,
     "model.layers.0.self_attn"},
    {"NullKVHeadsAreHeads",
     R"({"model_type":"mistral","num_hidden_layers":1,
       "num_attention_heads":16,"num_key_value_heads":null,"head_dim":null,"hidden_size":1024})",
     {0},
     16,
     16,
     64,
     "model.layers.0.self_attn"},
    {"MistralDefaults",
     R"({"model_type":"mistral","num_hidden_layers":1})",
     {0},
     32,
     8,
     128,
     "model.layers.0.self_attn"},
    {"Qwen3HeadDim",
     R"({"model_type":"qwen3","num_hidden_layers":1,"num_attention_heads":16,
       "num_key_value_heads":8,"hidden_size":1024})",
     {0},
     16,
     8,
     128,
     "model.layers.0.self_attn"},
    {"Gemma3Nested",
     R"({"model_type":"gemma3","text_config":{"model_type":"gemma3_text",
       "num_hidden_layers":2,"hidden_size":2560},"vision_config":{"num_attention_heads":16}})",
     {0, 1},
     8,
     4,
     256,
     "model.layers.0.self_attn"},
    {"Gemma3nShared",
     R"({"model_type":"gemma3n_text","num_hidden_layers":5,
       "num_kv_shared_layers":2})",
     {0, 1, 2},
     8,
     2,
     256,
     "model.layers.0.self_attn"},
    {"DeepSeekLatent",
     R"({"model_type":"deepseek_v3","num_hidden_layers":1,
       "num_attention_heads":128,"kv_lora_rank":512,"qk_rope_head_dim":64,"v_head_dim":128})",
     {0},
     128,
     1,
     576,
     "model.layers.0.self_attn"},
    {"FalconMultiQuery",
     R"({"model_type":"falcon","num_hidden_layers":1,
       "num_attention_heads":71,"num_kv_heads":71,"hidden_size":4544,"multi_query":true})",
     {0},
     71,
     1,
     64,
     "transformer.h.0.self_attention"},
    {"FalconNew",
     R"({"model_type":"falcon","n_layer":1,"n_head":128,"num_kv_heads":8,
       "hidden_size":8192,"new_decoder_architecture":true})",
     {0},
     128,
     8,
     64,
     "transformer.h.0.self_attention"},
    {"Mpt",
     R"({"model_type":"mpt","n_layers":1,"n_heads":16,"d_model":2048,
       "attn_config":{"kv_n_heads":4}})",
     {0},
     16,
     4,
     128,
     "transformer.blocks.0.attn"},
    {"Dbrx",
     R"({"model_type":"dbrx","n_layers":1,"n_heads":48,"d_model":6144,
       "attn_config":{"kv_n_heads":8}})",
     {0},
     48,
     8,
     128,
     "transformer.blocks.0.norm_attn_norm.attn"},
    {"Gpt2",
     R"({"model_type":"gpt2","n_layer":1,"n_head":12,"n_embd":768})",
     {0},
     12,
     12,
     64,
     "transformer.h.0.attn"},
    {"GptNeoX",
     R"({"model_type":"gpt_neox","num_hidden_layers":1,"num_attention_heads":8,
       "hidden_size":512})",
     {0},
     8,
     8,
     64,
     "gpt_neox.layers.0.attention"},
    {"Opt",
     R"({"model_type":"opt","num_hidden_layers":1})",
     {0},
     12,
     12,
     64,
     "model.decoder.layers.0.self_attn"},
    {"Bloom",
     R"({"model_type":"bloom","n_layer":1,"n_head":32,"hidden_size":4096})",
     {0},
     32,
     32,
     128,
     "transformer.h.0.self_attention"},
    {"ChatGlm",
     R"({"model_type":"chatglm","num_layers":1,"num_attention_heads":32,
       "hidden_size":4096,"kv_channels":128,"multi_query_attention":true,
       "multi_query_group_num":2})",
     {0},
     32,
     2,
     128,
     "transformer.encoder.layers.0.self_attention"},
    {"Baichuan",
     R"({"model_type":"baichuan","num_hidden_layers":1,"num_attention_heads":40,
       "hidden_size":5120})",
     {0},
     40,
     40,
     128,
     "model.layers.0.self_attn"},
    {"Llama4",
     R"({"model_type":"llama4","text_config":{"num_hidden_layers":1}})",
     {0},
     40,
     8,
     128,
     "language_model.model.layers.0.self_attn"},
    {"MllamaCross",
     R"({"model_type":"mllama","text_config":{"model_type":"mllama_text_model",
       "num_hidden_layers":2,"cross_attention_layers":[0]}})",
     {0, 1},
     32,
     8,
     128,
     "language_model.model.layers.0.cross_attn"},
    {"NemotronH",
     R"({"model_type":"nemotron_h","hybrid_override_pattern":"M-*M*"})",
     {2, 4},
     32,
     8,
     128,
     "backbone.layers.2.mixer"},
    {"NemotronNas",
     R"({"model_type":"nemotron-nas","num_hidden_layers":3,
       "num_attention_heads":64,"hidden_size":8192,"block_configs":[
       {"attention":{"no_op":true}},{"attention":{"n_heads_in_group":8}},
       {"attention":{"n_heads_in_group":16}}]})",
     {1, 2},
     64,
     8,
     128,
     "model.layers.1.self_attn"},
    {"Jamba",
     R"({"model_type":"jamba","num_hidden_layers":16})",
     {4, 12},
     32,
     8,
     128,
     "model.layers.4.self_attn"},
    {"Bamba",
     R"({"model_type":"bamba","num_hidden_layers":8,"attn_layer_indices":[3,5]})",
     {3, 5},
     32,
     8,
     128,
     "model.layers.3.self_attn"},
    {"GraniteHybrid",
     R"({"model_type":"granitemoehybrid","num_hidden_layers":3,
       "layer_types":["mamba","attention","mamba"]})",
     {1},
     32,
     32,
     128,
     "model.layers.1.self_attn"},
    {"Lfm2Old",
     R"({"model_type":"lfm2","num_hidden_layers":4,"full_attn_idxs":[2]})",
     {2},
     32,
     8,
     80,
     "model.layers.2.self_attn"},
    {"MiniMaxOld",
     R"({"model_type":"minimax","num_hidden_layers":3,"attn_type_list":[0,0,1]})",
     {2},
     32,
     8,
     128,
     "model.layers.2.self_attn"},
    {"Qwen3Next",
     R"({"model_type":"qwen3_next","num_hidden_layers":8})",
     {3, 7},
     16,
     2,
     256,
     "model.layers.3.self_attn"},
    {"Qwen35",
     R"({"model_type":"qwen3_5","text_config":{"model_type":"qwen3_5_text",
       "num_hidden_layers":4,"layer_types":["linear_attention","full_attention",
       "linear_attention","full_attention"]}})",
     {1, 3},
     16,
     4,
     256,
     "model.language_model.layers.1.self_attn"},
    {"Zamba2",
     R"({"model_type":"zamba2","num_hidden_layers":2,
       "layers_block_type":["mamba","hybrid"]})",
     {1},
     32,
     32,
     160,
     "model.layers.1.shared_transformer.self_attn"},
    {"Thinker",
     R"({"model_type":"omni","thinker_config":{"text_config":{"model_type":"qwen2",
       "num_hidden_layers":1,"num_attention_heads":28,"num_key_value_heads":4,
       "hidden_size":3584}}})",
     {0},
     28,
     4,
     128,
     "model.layers.0.self_attn"},
};

class Geometry : public testing::TestWithParam<GeometryCase> {};

ModelGeometry geometryOf(const std::string &json) {
  auto config = parseHfConfig(json, "config.json");
  if (!config) {
    ADD_FAILURE() << llvm::toString(config.takeError());
    return {};
  }
  auto geometry = readGeometry(*config);
  if (!geometry) {
    ADD_FAILURE() << llvm::toString(geometry.takeError());
    return {};
  }
  return std::move(*geometry);
}

std::string failureOf(const std::string &json) {
  auto config = parseHfConfig(json, "config.json");
  if (!config)
    return llvm::toString(config.takeError());
  auto geometry = readGeometry(*config);
  return geometry ? "" : llvm::toString(geometry.takeError());
}

} // namespace

TEST_P(Geometry, IsThatOfTheModelType) {
  const GeometryCase &test = GetParam();
  ModelGeometry geometry = geometryOf(test.json);
  EXPECT_EQ(geometry.error.value_or(""), "");
  std::vector<int64_t> indices;
  for (const AttentionLayer &layer : geometry.layers)
    indices.push_back(layer.index);
  EXPECT_EQ(indices, test.layers);
  ASSERT_FALSE(geometry.layers.empty());
  const AttentionLayer &first = geometry.layers.front();
  ASSERT_TRUE(first.geometry);
  EXPECT_EQ(first.geometry->numHeads, test.heads);
  EXPECT_EQ(first.geometry->numKVHeads, test.kvHeads);
  EXPECT_EQ(first.geometry->headSize, test.headSize);
  EXPECT_EQ(layerName(geometry.patterns.front(), first.index, first.module), test.first);
}

INSTANTIATE_TEST_SUITE_P(Types, Geometry, testing::ValuesIn(cases),
                         [](const auto &info) { return info.param.name; });

TEST(GeometryTable, HasEachTypeOnce) {
  for (const ModelRow &row : allModels()) {
    EXPECT_EQ(lookUpModel(row.type), &row) << row.type.str();
    EXPECT_FALSE(modulePatterns(row.place).empty()) << row.type.str();
  }
}

TEST(GeometryTable, SizesDifferByLayer) {
  ModelGeometry nas = geometryOf(R"({"model_type":"nemotron-nas","num_hidden_layers":2,
    "num_attention_heads":64,"hidden_size":8192,"block_configs":[
    {"attention":{"n_heads_in_group":8}},{"attention":{"n_heads_in_group":16}}]})");
  EXPECT_EQ(nas.layers[0].geometry->numKVHeads, 8);
  EXPECT_EQ(nas.layers[1].geometry->numKVHeads, 4);
  ModelGeometry gemma4 = geometryOf(R"({"model_type":"gemma4_text","num_hidden_layers":2,
    "layer_types":["sliding_attention","full_attention"],"global_head_dim":512,
    "num_global_key_value_heads":2,"attention_k_eq_v":true})");
  EXPECT_EQ(gemma4.layers[0].geometry->headSize, 256);
  EXPECT_EQ(gemma4.layers[1].geometry->headSize, 512);
  EXPECT_EQ(gemma4.layers[1].geometry->numKVHeads, 2);
}

TEST(GeometryTable, PredictionLayersAreOptional) {
  ModelGeometry geometry = geometryOf(R"({"model_type":"deepseek_v3","num_hidden_layers":2,
    "num_nextn_predict_layers":1})");
  ASSERT_EQ(geometry.layers.size(), 3u);
  EXPECT_FALSE(geometry.layers[1].optional);
  EXPECT_TRUE(geometry.layers[2].optional);
  EXPECT_EQ(geometry.layers[2].index, 2);
}

TEST(GeometryTable, MambaOwnsNoCache) {
  ModelGeometry geometry = geometryOf(R"({"model_type":"mamba","num_hidden_layers":4})");
  EXPECT_TRUE(geometry.layers.empty());
  EXPECT_TRUE(geometry.knownLayers);
}

TEST(GeometryTable, NotesDefaults) {
  ModelGeometry geometry = geometryOf(R"({"model_type":"gemma3_text","num_hidden_layers":1})");
  EXPECT_TRUE(contains(geometry.notes, "no 'num_attention_heads'; 8 is the default"));
  EXPECT_TRUE(contains(geometry.notes, "no 'num_key_value_heads'; 4 is the default"));
  EXPECT_TRUE(contains(geometry.notes, "no 'head_dim'; 256 is the default"));
}

TEST(GeometryTable, UnknownLayerTypesAreTakenToOwnACache) {
  ModelGeometry geometry = geometryOf(R"({"model_type":"llama","num_hidden_layers":2,
    "layer_types":["full_attention","hyper_attention"]})");
  EXPECT_EQ(geometry.layers.size(), 2u);
  EXPECT_TRUE(contains(geometry.notes, "'hyper_attention'"));
}

// What does not fit together leaves the layers without a geometry; what no
// model can have is an error.
TEST(GeometryTable, SaysWhyAGeometryIsMissing) {
  auto missing = [](const std::string &fields) {
    return geometryOf(R"({"num_hidden_layers":1,)" + fields + "}").error.value_or("");
  };
  EXPECT_NE(missing(R"("model_type":"new")").find("'num_attention_heads'"), std::string::npos);
  EXPECT_NE(missing(R"("num_attention_heads":32,"num_key_value_heads":5,"head_dim":8)")
                .find("multiple of the KV heads (5)"),
            std::string::npos);
  EXPECT_NE(
      missing(R"("num_attention_heads":3,"hidden_size":64)").find("multiple of the heads (3)"),
      std::string::npos);
  EXPECT_NE(missing(R"("num_attention_heads":3)").find("'head_dim' or 'hidden_size'"),
            std::string::npos);
  EXPECT_NE(
      missing(R"("num_attention_heads":4,"head_dim":192,"v_head_dim":128)").find("192 and 128"),
      std::string::npos);
}

TEST(GeometryTable, RefusesImpossibleCounts) {
  for (const char *value : {"0", "-1", "1048577", "1000000000000", "1.0", "1e3", "true", "\"32\"",
                            "[32]", "{}", "NaN", "Infinity", "18446744073709551616"}) {
    std::string json = std::string(R"({"model_type":"llama","num_hidden_layers":)") + value + "}";
    EXPECT_NE(
        failureOf(json).find("expected 'num_hidden_layers' to be an integer from 1 to 1048576"),
        std::string::npos)
        << value << ": " << failureOf(json);
  }
  EXPECT_NE(failureOf(R"({"model_type":"llama","num_hidden_layers":2,"layer_types":["attention"]})")
                .find("one element per layer (2), but got 1"),
            std::string::npos);
  EXPECT_NE(failureOf(R"({"model_type":"llama","num_hidden_layers":1,"layer_types":[1]})"), "");
  EXPECT_NE(failureOf(R"({"model_type":"bamba","num_hidden_layers":1,"attn_layer_indices":[1]})"),
            "");
}

TEST(HfConfig, ReadsWhatPythonWrites) {
  ModelGeometry geometry = geometryOf(R"({"model_type":"llama","num_hidden_layers":1,
    "unused":[NaN,Infinity,-Infinity,"NaN \" -Infinity"]})");
  EXPECT_EQ(geometry.layers.size(), 1u);
}

TEST(HfConfig, RefusesWhatIsNoConfiguration) {
  EXPECT_NE(failureOf("[]").find("expected an object, but got an array"), std::string::npos);
  EXPECT_NE(failureOf("{").find("malformed JSON"), std::string::npos);
  EXPECT_NE(failureOf(R"({"a":1,"a":2})").find("duplicate key 'a'"), std::string::npos);
  EXPECT_NE(failureOf("{\"a\":" + std::string(200000, '[')).find("nested deeper"),
            std::string::npos);
  EXPECT_NE(failureOf(std::string(200000, '{')).find("malformed JSON"), std::string::npos);
}
