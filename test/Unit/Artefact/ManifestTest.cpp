//===- ManifestTest.cpp - The texts of an artefact ------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Artefact/Manifest.h"
#include "Sample.h"
#include "kvq/Artefact/Header.h"
#include "kvq/Artefact/JsonText.h"
#include <gtest/gtest.h>
#include <limits>
#include <nlohmann/json.hpp>

using namespace kvq;
using Json = nlohmann::ordered_json;

namespace {

std::string textOf(float value) { return toJsonText(toJson(value)); }

TEST(JsonText, NumbersAreFloat32) {
  EXPECT_EQ(textOf(0.023f), "0.023\n");
  EXPECT_EQ(textOf(1.0f), "1.0\n");
  EXPECT_EQ(textOf(-0.0f), "-0.0\n");
  EXPECT_EQ(textOf(1e-45f), "1e-45\n");
  EXPECT_EQ(textOf(std::numeric_limits<float>::infinity()), "\"inf\"\n");
  EXPECT_EQ(textOf(-std::numeric_limits<float>::infinity()), "\"-inf\"\n");
  EXPECT_EQ(textOf(std::numeric_limits<float>::quiet_NaN()), "\"nan\"\n");
}

TEST(JsonText, IntegersStayIntegers) { EXPECT_EQ(toJsonText(Json(16)), "16\n"); }

TEST(JsonText, BreaksWhatIsLong) {
  Json json;
  json["short"] = {1, 2};
  json["long"] = {std::string(100, 'a'), std::string(100, 'b')};
  json["none"] = Json::array();
  EXPECT_EQ(toJsonText(json), "{\n  \"short\": [1, 2],\n  \"long\": [\n    \"" +
                                  std::string(100, 'a') + "\",\n    \"" + std::string(100, 'b') +
                                  "\"\n  ],\n  \"none\": []\n}\n");
}

TEST(JsonText, AnyBytesAreText) {
  EXPECT_EQ(toJsonText(Json(std::string("a\"\\\n\xff"))), "\"a\\\"\\\\\\n\xef\xbf\xbd\"\n");
}

TEST(Manifest, KeysFollowTheSchema) {
  Json json = Json::parse(toJsonText(sampleManifest()));
  EXPECT_TRUE(json["targets"][0]["cache_type"].is_null());
  Json kernel = json["kernels"][0];
  EXPECT_EQ(
      kernel["scales"].dump(),
      R"({"k":{"value":null,"method":"argument"},"v":{"value":0.5,"method":"multiply","tried":256}})");
  EXPECT_EQ(kernel["args"].dump(),
            R"([{"name":"key","type":"ptr","align":16},{"name":"num_tokens","type":"i64"}])");
  EXPECT_EQ(kernel["grid"].dump(), R"([{"ceil_div":["num_tokens",4]},1,1])");
  EXPECT_EQ(json["layers"][0]["warnings"].dump(), R"({"sm_90":[]})");
}

TEST(Manifest, WhatIsNotThereHasNoKey) {
  Manifest manifest = sampleManifest();
  Json json = Json::parse(toJsonText(manifest));
  EXPECT_FALSE(json["kernels"][0].contains("bounds"));
  EXPECT_FALSE(json["layers"][0].contains("variants"));
  manifest.kernels[0].bounds = "count";
  EXPECT_EQ(Json::parse(toJsonText(manifest))["kernels"][0]["bounds"], "count");
}

TEST(Header, VariantsAreMembersOfLayers) {
  Manifest manifest = sampleManifest();
  ManifestLayer plain = manifest.layers[0];
  plain.name = "plain";
  manifest.layers[0].targets[0].variants = {{"store", "align4_dynamic", "other"}};
  manifest.layers.push_back(plain);
  std::string text = toHeaderText(manifest);
  EXPECT_NE(text.find("const char *store, *load, *store_align4_dynamic;"), std::string::npos);
  EXPECT_NE(text.find(R"(, 0, "store", 0, "other"},)"), std::string::npos) << text;
  EXPECT_NE(text.find(R"(, 0, "store", 0, 0},)"), std::string::npos) << text;
}

TEST(Header, NamesAreSafeInC) {
  std::string text = toHeaderText(sampleManifest());
  EXPECT_NE(text.find(R"({"a\042\077\012\303\251", INT64_C(0), 1.0f,)"), std::string::npos) << text;
  EXPECT_NE(text.find("launch.grid[0] = kvq_ceil_div((int64_t)args->num_tokens, INT64_C(4));"),
            std::string::npos);
  EXPECT_NE(text.find(R"(, 0, "store", 0},)"), std::string::npos);
}

} // namespace
