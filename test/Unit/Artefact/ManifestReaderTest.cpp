//===- ManifestReaderTest.cpp - Manifests that may lie --------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Artefact/ManifestReader.h"
#include "Sample.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace kvq;
using Json = nlohmann::json;

static std::string errorOf(const std::string &text) {
  Result<Manifest> manifest = readManifest(text);
  return manifest ? "" : manifest.error();
}

/// What is wrong with the sample with the value at a JSON pointer set.
static std::string errorWith(const std::string &pointer, const Json &value) {
  Json json = Json::parse(toJsonText(sampleManifest()));
  const char *change = json.contains(Json::json_pointer(pointer)) ? "replace" : "add";
  json.patch_inplace({{{"op", change}, {"path", pointer}, {"value", value}}});
  return errorOf(json.dump());
}

static std::string errorWithout(const std::string &parent, const std::string &key) {
  Json json = Json::parse(toJsonText(sampleManifest()));
  json.patch_inplace({{{"op", "remove"}, {"path", parent + "/" + key}}});
  return errorOf(json.dump());
}

TEST(ManifestReader, GivesBackWhatWasWritten) {
  std::string text = toJsonText(sampleManifest());
  Result<Manifest> manifest = readManifest(text);
  ASSERT_TRUE(manifest) << manifest.error();
  EXPECT_EQ(toJsonText(*manifest), text);
  ASSERT_EQ(manifest->kernels.size(), 1u);
  const ManifestKernel &kernel = manifest->kernels[0];
  EXPECT_EQ(kernel.headSize, 128);
  EXPECT_EQ(kernel.args[0].align, 16);
  EXPECT_FALSE(kernel.scales[0].second.value);
  EXPECT_EQ(kernel.scales[1].second.value, 0.5f);
  EXPECT_EQ(kernel.scales[1].second.tried, 256u);
  EXPECT_EQ(kernel.grid[0].kind, LaunchSize::Kind::CeilDiv);
  EXPECT_EQ(kernel.grid[0].operands[0].argument, "num_tokens");
  EXPECT_EQ(kernel.grid[0].operands[1].number, 4);
  EXPECT_EQ(manifest->layers[0].name, "a\"?\n\xc3\xa9");
}

TEST(ManifestReader, FloatsAreRoundedOnce) {
  Manifest manifest = sampleManifest();
  manifest.layers[0].targets[0].scales[1] = 7.038531e-26f;
  Result<Manifest> read = readManifest(toJsonText(manifest));
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(read->layers[0].targets[0].scales[1], 7.038531e-26f);
}

TEST(ManifestReader, ScalesPerHead) {
  Manifest manifest = sampleManifest();
  manifest.kernels[0].numKVHeads = 2;
  manifest.kernels[0].scales[1].second = {std::nullopt, "multiply", 512, {0.5f, 0.25f}};
  manifest.layers[0].targets[0].headScales[2] = {0.5f, 7.038531e-26f};
  std::string text = toJsonText(manifest);
  Json json = Json::parse(text);
  EXPECT_EQ(json["kernels"][0]["scales"]["v"]["value"].dump(),
            R"({"shape":[2],"values":[0.5,0.25]})");
  Result<Manifest> read = readManifest(text);
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(toJsonText(*read), text);
  const ManifestScale &scale = read->kernels[0].scales[1].second;
  EXPECT_FALSE(scale.value);
  EXPECT_EQ(scale.headValues, (std::vector<float>{0.5f, 0.25f}));
  const ManifestLayerTarget &layer = read->layers[0].targets[0];
  EXPECT_EQ(layer.headScales[2], (std::vector<float>{0.5f, 7.038531e-26f}));
  EXPECT_TRUE(layer.headScales[1].empty());
  // What reads the one number of a scale of several finds none.
  EXPECT_NE(layer.scales[2], layer.scales[2]);

  auto errorWithHeads = [&](const std::string &pointer, const Json &value) {
    Json changed = json;
    changed.patch_inplace({{{"op", "replace"}, {"path", pointer}, {"value", value}}});
    return errorOf(changed.dump());
  };
  EXPECT_EQ(errorWithHeads("/kernels/0/num_kv_heads", 4),
            "kernels[0].scales.v.value: expected a number for each of 4 KV heads, but got 2");
  EXPECT_EQ(errorWithHeads("/kernels/0/scales/v/value/values/1", -0.5),
            "kernels[0].scales.v.value.values[1]: expected a positive finite float32 number, but "
            "got -0.5");
  EXPECT_EQ(errorWithHeads("/layers/0/scales/sm_90/v/values", {0.5}),
            "layers[0].scales.sm_90.v.values: expected 2 numbers, as the shape says, but got 1");
  for (const Json &shape : {Json(2), Json::array(), Json({2, 1}), Json::array({0}), Json({"2"})})
    EXPECT_NE(errorWithHeads("/layers/0/scales/sm_90/v/shape", shape), "") << shape;
  EXPECT_NE(errorWithHeads("/kernels/0/scales/v/method", "argument"), "");
  EXPECT_NE(errorWithHeads("/layers/0/scales/sm_90/q", json["kernels"][0]["scales"]["v"]["value"]),
            "");
}

TEST(ManifestReader, UnknownKeysAreIgnored) {
  EXPECT_EQ(errorWith("/future", {{"a", {1, 2}}}), "");
  EXPECT_EQ(errorWith("/kernels/0/future", "x"), "");
  EXPECT_EQ(errorWith("/kernels/0/args/0/future", -1), "");
  EXPECT_EQ(errorWith("/layers/0/future", nullptr), "");
}

TEST(ManifestReader, OtherSchemasAreRefused) {
  EXPECT_EQ(errorWith("/schema", "kvq.manifest/2"),
            "schema: expected 'kvq.manifest/1', the one schema that is read, but got "
            "'kvq.manifest/2'");
  EXPECT_EQ(errorWithout("", "schema"), "expected the key 'schema', but there is none");
  EXPECT_EQ(errorOf("[]"), "expected an object, but got an array");
}

TEST(ManifestReader, RefusesWhatIsNoJson) {
  std::string text = toJsonText(sampleManifest());
  EXPECT_NE(errorOf(text.substr(0, text.size() / 2)).find("malformed JSON"), std::string::npos);
  EXPECT_NE(errorOf("{\"schema\": \"kvq.manifest/1\", \"schema\": 1}").find("duplicate key"),
            std::string::npos);
  EXPECT_NE(errorOf(std::string(100000, '[')).find("nested deeper"), std::string::npos);
}

TEST(ManifestReader, NamesTheField) {
  EXPECT_EQ(errorWith("/kernels/0/args/1/type", "f64"),
            "kernels[0].args[1].type: expected 'ptr', 'i64' or 'i32', but got 'f64'");
  EXPECT_EQ(errorWith("/kernels/0/grid/0/ceil_div/1", 0),
            "kernels[0].grid[0].ceil_div[1]: expected an integer from 1 to 2147483647, but got 0");
  EXPECT_EQ(errorWith("/layers/0/scales/sm_90/k", "x\n"),
            "layers[0].scales.sm_90.k: expected a positive finite float32 number, but got "
            "'x\\x0a'");
  EXPECT_EQ(errorWithout("/kernels/0/args/0", "name"),
            "kernels[0].args[0]: expected the key 'name', but there is none");
}

TEST(ManifestReader, RefusesAbsurdNumbers) {
  Json huge = 1e30, negative = -1, half = 0.5;
  for (const char *pointer :
       {"/tensor_parallel_size", "/kernels/0/num_kv_heads", "/kernels/0/head_size",
        "/kernels/0/block_size", "/kernels/0/shared_bytes", "/kernels/0/block/0",
        "/kernels/0/grid/2", "/kernels/0/args/0/align", "/layers/0/index",
        "/kernels/0/scales/v/tried"})
    for (const Json &value : {huge, negative, half, Json("1"), Json::array(), Json(true)})
      EXPECT_NE(errorWith(pointer, value), "") << pointer << " " << value;
  EXPECT_NE(errorWith("/kernels/0/shared_bytes", 1 << 30), "");
  EXPECT_NE(errorWith("/kernels/0/block", {64, 64, 1}), "");
  EXPECT_NE(errorWith("/kernels/0/block/0", 1025), "");
  EXPECT_EQ(errorWith("/kernels/0/block", {32, 32, 1}), "");
  EXPECT_NE(errorWith("/kernels/0/grid/1", 65536), "");
  EXPECT_NE(errorWith("/kernels/0/args/0/align", 24), "");
  EXPECT_NE(errorWith("/kernels/0/args/0/align", 8192), "");
  EXPECT_NE(errorWith("/kernels/0/args/1/align", 16), "");
  EXPECT_NE(errorWith("/kernels/0/args/0/divisible", 8), "");
  EXPECT_NE(errorWith("/layers/0/scales/sm_90/q", 0), "");
  EXPECT_NE(errorWith("/layers/0/scales/sm_90/q", -1.0), "");
  EXPECT_NE(errorWith("/layers/0/scales/sm_90/q", 1e39), "");
  EXPECT_NE(errorWith("/layers/0/scales/sm_90/q", "inf"), "");
}

TEST(ManifestReader, BoundsLaunchSizes) {
  auto nested = [](int depth) {
    Json size = "num_tokens";
    for (int level = 1; level < depth; ++level)
      size = Json{{"min", {size, 1}}};
    return size;
  };
  EXPECT_EQ(errorWith("/kernels/0/grid/0", nested(8)), "");
  EXPECT_NE(errorWith("/kernels/0/grid/0", nested(9)), "");
  Json wide = 1;
  for (int level = 1; level < 7; ++level)
    wide = Json{{"mul", {wide, wide}}};
  EXPECT_NE(errorWith("/kernels/0/grid/0", wide), "");
  for (const Json &size : {Json::object(), Json{{"div", {1, 1}}}, Json{{"min", {1}}},
                           Json{{"min", {1, 1}}, {"max", {1, 1}}}, Json("num_blocks"), Json("key"),
                           Json{{"ceil_div", {"num_tokens", 0}}}})
    EXPECT_NE(errorWith("/kernels/0/grid/0", size), "") << size;
}

TEST(ManifestReader, NamesMustBePlain) {
  for (const char *name : {"../sm_90.ptx", "/etc/passwd", "a/b", "..", ".", "", ".hidden", "-rf",
                           "a\nb", "a b", "a\\b", "manifest.json", "\xc3\xa9"}) {
    Json json = Json::parse(toJsonText(sampleManifest()));
    json["targets"][0]["files"]["ptx"] = name;
    json["sha256"][name] = std::string(64, '0');
    EXPECT_NE(errorOf(json.dump()), "") << name;
  }
  EXPECT_NE(errorWith("/kernels/0/symbol", "a-b"), "");
  EXPECT_NE(errorWith("/kernels/0/symbol", "1a"), "");
  EXPECT_NE(errorWith("/kernels/0/symbol", std::string(2000, 'a')), "");
  EXPECT_NE(errorWith("/kernels/0/args/0/name", "a b"), "");
  EXPECT_NE(errorWith("/targets/0/target", "../x"), "");
  EXPECT_NE(errorWith("/targets/0/backend", "metal"), "");
}

TEST(ManifestReader, HashesAreHashes) {
  for (const Json &hash : {Json(""), Json(std::string(63, 'a')), Json(std::string(64, 'A')),
                           Json(std::string(64, 'g')), Json(1), Json()}) {
    EXPECT_NE(errorWith("/sha256/sm_90.ptx", hash), "") << hash;
    EXPECT_NE(errorWith("/checkpoint/sha256", hash), "") << hash;
  }
  EXPECT_NE(errorWithout("/sha256", "sm_90.ptx").find("'sm_90.ptx'"), std::string::npos);
  EXPECT_NE(errorWithout("", "sha256"), "");
}

TEST(ManifestReader, WhatIsNamedExists) {
  EXPECT_NE(errorWith("/kernels/0/target", "sm_80").find("one of the targets"), std::string::npos);
  EXPECT_NE(errorWith("/layers/0/kernels/sm_90/store", "load").find("symbol of a kernel"),
            std::string::npos);
  EXPECT_NE(errorWith("/layers/0/kernels/sm_90/load", "store").find("does 'store'"),
            std::string::npos);
  for (const char *key : {"scales", "calculate_kv_scales", "kernels", "warnings", "notes"}) {
    EXPECT_NE(errorWithout(std::string("/layers/0/") + key, "sm_90"), "") << key;
    EXPECT_NE(errorWith(std::string("/layers/0/") + key + "/sm_80", Json::object()), "");
  }
}

TEST(ManifestReader, ConstantsOfScales) {
  Manifest manifest = sampleManifest();
  manifest.kernels[0].scaleConstants = {{"q", 200.0f}, {"k", 0.1f}};
  std::string text = toJsonText(manifest);
  Result<Manifest> read = readManifest(text);
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(toJsonText(*read), text);
  EXPECT_EQ(read->kernels[0].scaleConstants, manifest.kernels[0].scaleConstants);
  EXPECT_EQ(errorWith("/kernels/0/scale_constants", {{"k", 0}}),
            "kernels[0].scale_constants.k: expected a positive finite float32 number, but got 0");
}

TEST(ManifestReader, Variants) {
  Manifest manifest = sampleManifest();
  manifest.layers[0].targets[0].variants = {{"store", "align4", "store"},
                                            {"store", "dynamic", "store"}};
  std::string text = toJsonText(manifest);
  Json json = Json::parse(text);
  EXPECT_EQ(json["layers"][0]["variants"].dump(),
            R"({"sm_90":{"store":{"align4":"store","dynamic":"store"}}})");
  Result<Manifest> read = readManifest(text);
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(toJsonText(*read), text);
  auto errorWithVariants = [](const Json &variants) {
    return errorWith("/layers/0/variants", variants);
  };
  EXPECT_EQ(errorWithVariants({{"sm_90", {{"store", {{"dynamic", "other"}}}}}}),
            "layers[0].variants.sm_90.store.dynamic: expected the symbol of a kernel of target "
            "'sm_90', but got 'other'");
  EXPECT_EQ(errorWithVariants({{"sm_90", {{"load", {{"dynamic", "store"}}}}}}),
            "layers[0].variants.sm_90.load.dynamic: expected a kernel that does 'load', but "
            "'store' does 'store'");
  EXPECT_NE(errorWithVariants({{"sm_90", {{"store", {{"a b", "store"}}}}}}), "");
  EXPECT_NE(errorWithVariants({{"sm_90", {{"store", "store"}}}}), "");
  EXPECT_NE(errorWithVariants({{"sm_80", Json::object()}}), "");
  EXPECT_NE(errorWithVariants(Json::array()), "");
  EXPECT_EQ(errorWithVariants({{"sm_90", Json::object()}}), "");
}

TEST(ManifestReader, NamesAreUnique) {
  for (const char *list : {"targets", "kernels", "layers"}) {
    Json json = Json::parse(toJsonText(sampleManifest()));
    json[list].push_back(json[list][0]);
    EXPECT_NE(errorOf(json.dump()).find("twice"), std::string::npos) << list;
  }
  EXPECT_NE(errorWith("/kernels/0/args/1/name", "key").find("twice"), std::string::npos);
}

TEST(ManifestReader, ScalesAgreeWithTheirMethods) {
  EXPECT_NE(errorWith("/kernels/0/scales/k/value", 1.0), "");
  EXPECT_NE(errorWith("/kernels/0/scales/v/value", nullptr), "");
}

TEST(ManifestReader, FileNames) {
  EXPECT_TRUE(isPlainFileName("sm_90.resolved.mlir"));
  EXPECT_TRUE(isPlainFileName(std::string(255, 'a')));
  EXPECT_FALSE(isPlainFileName(std::string(256, 'a')));
  EXPECT_FALSE(isPlainFileName(std::string_view("a\0b", 3)));
}
