//===- LegacyJsonTest.cpp - vLLM's kv_cache_scales.json -------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fixture.h"

using namespace kvq;
using namespace kvq::test;

namespace {

std::string legacy(const std::string &ranks, const std::string &type = "\"llama\"",
                   const std::string &dtype = "float8_e4m3fn") {
  return "{\"model_type\":" + type + ",\"kv_cache\":{\"dtype\":\"" + dtype +
         "\",\"scaling_factor\":{" + ranks + "}}}";
}

const std::string twoLayers = R"("0":{"0":0.1,"1":0.25})";

std::string legacyError(const std::string &text, const std::string &config = "",
                        std::optional<int64_t> ranks = std::nullopt) {
  Folder folder;
  folder.write("scales.json", text);
  ReadOptions options;
  options.tensorParallelSize = ranks;
  if (!config.empty()) {
    folder.write("config.json", config);
    options.configFile = folder.pathOf("config.json");
  }
  return errorOf(folder.pathOf("scales.json"), options);
}

} // namespace

TEST(LegacyJson, GivesKAndV) {
  Folder folder;
  folder.write("scales.json", legacy(twoLayers));
  Checkpoint checkpoint = readOrFail(folder.pathOf("scales.json"));
  EXPECT_EQ(checkpoint.format, CheckpointFormat::LegacyJson);
  EXPECT_EQ(checkpoint.modelType, "llama");
  ASSERT_EQ(checkpoint.layers.size(), 2u);
  EXPECT_EQ(checkpoint.layers[1].name, "model.layers.1.self_attn");
  EXPECT_EQ(valueOf(checkpoint.layers[0], ScaleKind::K), 0.1f);
  EXPECT_EQ(valueOf(checkpoint.layers[0], ScaleKind::V), 0.1f);
  EXPECT_TRUE(checkpoint.geometryError);
}

TEST(LegacyJson, TakesGeometryFromAConfiguration) {
  Folder folder;
  folder.write("scales.json", legacy(twoLayers)).write("config.json", llamaConfig(2));
  ReadOptions options;
  options.configFile = folder.pathOf("config.json");
  Checkpoint checkpoint = readOrFail(folder.pathOf("scales.json"), options);
  EXPECT_FALSE(checkpoint.geometryError);
  EXPECT_EQ(checkpoint.layers[1].geometry->numKVHeads, 8);
  EXPECT_EQ(checkpoint.sourceType, SourceType::BF16);
}

TEST(LegacyJson, NamesFollowTheModelType) {
  Folder folder;
  folder.write("scales.json", legacy(R"("0":{"0":1})", "\"falcon\""));
  EXPECT_EQ(readOrFail(folder.pathOf("scales.json")).layers[0].name,
            "transformer.h.0.self_attention");
  folder.write("scales.json", legacy(R"("0":{"0":1})", "null"));
  EXPECT_EQ(readOrFail(folder.pathOf("scales.json")).layers[0].name, "model.layers.0.self_attn");
}

TEST(LegacyJson, ChecksInVllmsOrderAndWords) {
  struct {
    std::string text, part;
    std::string config = "";
    std::optional<int64_t> ranks = std::nullopt;
  } cases[] = {
      {"{", "Error decoding JSON in file '"},
      {std::string(200000, '['), "Error decoding JSON in file '"},
      {"[]", "An error occurred while reading '"},
      {R"({"kv_cache":{}})", "'model_type' to be a string or null"},
      {R"({"model_type":"llama"})", "'kv_cache' to be an object"},
      {legacy(twoLayers, "\"llama\"", "float8_e5m2"),
       "Loaded scaling factors intended for KV cache dtype = float8_e5m2 rather than "
       "float8_e4m3fn!"},
      {legacy(twoLayers),
       "Loaded dictionary has TP size 1 but LLM engine is currently running with TP size 2.", "",
       2},
      {legacy(twoLayers),
       "KV cache scales map for TP rank 0 is malformed. Expected 3 layers, got 2.", llamaConfig(3)},
      {legacy(R"("0":{"0":1},"1":{"0":1,"1":1})"),
       "KV cache scales map for TP rank 1 is malformed. Expected 1 layers, got 2."},
      {legacy(R"("1":{"0":1})"), "KV cache scales map for TP rank 0 not found."},
      {legacy(R"("0":{"0":1,"2":1})"), "Could not find KV cache scales for layer 1 in TP rank 0."},
      {legacy(twoLayers, "\"qwen2\""),
       "Model type is llama but loaded scaling factors belonging to different model type qwen2!",
       llamaConfig(2)},
      {legacy(R"("0":{"0":1},"1":{"0":2})"), "expected the TP ranks to agree"},
      {legacy(R"("0":{"0":1,"0":2})"), "duplicate key '0'"},
      {legacy(R"("0":{" 0":1})"), "expected a layer number"},
      {legacy(R"("0":{"00":1})"), "expected a layer number"},
      {legacy(R"("0":{"-1":1})"), "expected a layer number"},
      {legacy(R"("0":{"99999999999999999999":1})"), "expected a layer number"},
      {legacy(R"("x":{})"), "expected a TP rank number"},
      {legacy(R"("0":{"0":true})"), "to be a number, but got a boolean"},
      {legacy(R"("0":{"0":"1"})"), "to be a number, but got a string"},
      {legacy(R"("0":{"0":NaN})"), "malformed JSON"},
      {legacy(R"("0":{"0":Infinity})"), "malformed JSON"},
      {legacy(R"("0":{"0":1e999})"), "malformed JSON"},
      {legacy(R"("0":[])"), "to be an object, but got an array"},
      {legacy(R"("0":{})"), "expected at least one layer"},
      {legacy(""), "KV cache scales map for TP rank 0 not found."},
  };
  for (const auto &test : cases) {
    std::string error = legacyError(test.text, test.config, test.ranks);
    EXPECT_NE(error.find(test.part), std::string::npos) << test.part << "\n  got: " << error;
    EXPECT_LT(error.size(), 1000u);
  }
}

TEST(LegacyJson, AMissingFileIsSaidAsVllmSaysIt) {
  EXPECT_EQ(errorOf("/nowhere/scales.json"), "File or directory '/nowhere/scales.json' not found.");
}

TEST(LegacyJson, RanksThatAgreeAreOne) {
  Folder folder;
  folder.write("scales.json", legacy(R"("0":{"0":0.5},"1":{"0":0.5})"));
  EXPECT_EQ(readOrFail(folder.pathOf("scales.json")).layers.size(), 1u);
}
