//===- ShardsTest.cpp - Shards and their index ----------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fixture.h"
#include "kvq/Checkpoint/SafetensorsIndex.h"
#include <chrono>
#include <unistd.h>

using namespace kvq;
using namespace kvq::test;

namespace {

const std::string indexFile = "model.safetensors.index.json";
const std::string K0 = "model.layers.0.self_attn.k_scale";
const std::string V0 = "model.layers.0.self_attn.v_scale";

std::string index(const std::string &map, const std::string &total = "8") {
  return "{\"metadata\":{\"total_size\":" + total + "},\"weight_map\":{" + map + "}}";
}

/// Two shards with k and v of one layer, and an index that is right.
void writeTwoShards(Folder &folder) {
  folder.write("config.json", llamaConfig(1, ctConfig()));
  folder.write("a.safetensors", safetensors({f32(K0, 0.5f)}));
  folder.write("b.safetensors", safetensors({f32(V0, 0.25f)}));
  folder.write(indexFile,
               index("\"" + K0 + "\":\"a.safetensors\",\"" + V0 + "\":\"b.safetensors\""));
}

} // namespace

TEST(Shards, AreReadWithTheirIndex) {
  Folder folder;
  writeTwoShards(folder);
  Checkpoint checkpoint = readOrFail(folder.str());
  ASSERT_EQ(checkpoint.layers.size(), 1u);
  EXPECT_EQ(valueOf(checkpoint.layers[0], ScaleKind::K), 0.5f);
  EXPECT_EQ(valueOf(checkpoint.layers[0], ScaleKind::V), 0.25f);
  EXPECT_EQ(checkpoint.layers[0].scales[size_t(ScaleKind::V)]->file, "b.safetensors");
  EXPECT_TRUE(checkpoint.notes.empty());
}

TEST(Shards, AreReadWithoutAnIndex) {
  Folder folder;
  folder.write("config.json", llamaConfig(1, ctConfig()));
  folder.write("a.safetensors", safetensors({f32(K0, 0.5f)}));
  folder.write("b.safetensors", safetensors({f32(V0, 0.25f)}));
  folder.write("consolidated.safetensors", "not read");
  EXPECT_EQ(valueOf(readOrFail(folder.str()).layers[0], ScaleKind::V), 0.25f);
}

TEST(Shards, ADoubledScaleMustAgree) {
  Folder folder;
  folder.write("config.json", llamaConfig(1, ctConfig()));
  folder.write("a.safetensors", safetensors({f32(K0, 0.5f)}));
  folder.write("b.safetensors", safetensors({f32(K0, 0.5f)}));
  EXPECT_TRUE(contains(readOrFail(folder.str()).notes, "more than one file holds '" + K0 + "'"));
  folder.write("b.safetensors", safetensors({f32(K0, 0.25f)}));
  EXPECT_NE(errorOf(folder.str()).find("differs between 'a.safetensors' and 'b.safetensors'"),
            std::string::npos);
}

TEST(Index, OddButHarmless) {
  Folder folder;
  writeTwoShards(folder);
  folder.write("c.safetensors", "not read");
  folder.write("a.safetensors", safetensors({f32(K0, 0.5f), f32("x.attn.q_scale", 1.0f),
                                             f32("model.layers.0.self_attn.q_scale", 1.0f)}));
  Checkpoint checkpoint = readOrFail(folder.str());
  EXPECT_TRUE(contains(checkpoint.notes, "does not name 'c.safetensors'"));
  EXPECT_TRUE(contains(checkpoint.notes, "'total_size' is 8, but the tensors have 16 bytes"));
  EXPECT_TRUE(contains(checkpoint.layers[0].notes, "the index does not name"));
  EXPECT_EQ(valueOf(checkpoint.layers[0], ScaleKind::Q), 1.0f);
}

TEST(Index, PromisesAreKept) {
  Folder folder;
  writeTwoShards(folder);
  auto errorWith = [&](const std::string &text) {
    folder.write(indexFile, text);
    std::string error = errorOf(folder.str());
    EXPECT_EQ(error.find(folder.pathOf(indexFile) + ": "), 0u) << error;
    return error;
  };
  auto has = [](const std::string &text, const char *part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(errorWith(index("\"x\":\"gone.safetensors\"")), "'gone.safetensors' is missing"));
  EXPECT_TRUE(has(errorWith(index("\"x\":\"a.safetensors\"")), "'x' is not in its shard"));
  EXPECT_TRUE(
      has(errorWith(index("\"" + K0 + "\":\"b.safetensors\",\"" + V0 + "\":\"a.safetensors\"")),
          "is not in its shard"));
  EXPECT_TRUE(has(errorWith(index("\"x\":1")), "a file name, but got a number"));
  EXPECT_TRUE(has(errorWith(index("\"x\":\"a.bin\"")), "end in '.safetensors'"));
  EXPECT_TRUE(has(errorWith(index("\"x\":\"a.safetensors\",\"x\":\"b.safetensors\"")),
                  "duplicate key 'x'"));
  EXPECT_TRUE(has(errorWith("{}"), "expected 'weight_map'"));
  EXPECT_TRUE(has(errorWith("{\"weight_map\":[]}"), "expected 'weight_map'"));
  EXPECT_TRUE(has(errorWith("[]"), "expected an object"));
  EXPECT_TRUE(has(errorWith("{"), "malformed JSON"));
  // A text that is no JSON is the graver fault.
  EXPECT_TRUE(has(errorWith("{\"weight_map\":{\"x\":1}"), "malformed JSON"));
  EXPECT_TRUE(has(errorWith("{\"weight_map\":{\"x\":{\"y\":{}}}}"), "but got an object"));
  EXPECT_TRUE(has(errorWith("{\"metadata\":{\"y\":1,\"y\":1}}"), "duplicate key 'y'"));
  EXPECT_TRUE(has(errorWith("{\"a\":{\"weight_map\":{}}}"), "expected 'weight_map'"));
  EXPECT_TRUE(has(errorWith(std::string(200000, '[')), "nested deeper"));
  for (const char *name : {"/etc/a.safetensors", "../a.safetensors", "sub/a.safetensors", "..",
                           "a\\\\b.safetensors", "a\\u0000.safetensors", ""})
    EXPECT_TRUE(has(errorWith(index(std::string("\"x\":\"") + name + "\"")), "same folder"))
        << name;
}

TEST(Index, LinksStayInTheirRepository) {
  Folder folder, elsewhere;
  writeTwoShards(folder);
  elsewhere.write("b.safetensors", safetensors({f32(V0, 0.25f)}));
  ASSERT_EQ(unlink(folder.pathOf("b.safetensors").c_str()), 0);
  ASSERT_EQ(
      symlink(elsewhere.pathOf("b.safetensors").c_str(), folder.pathOf("b.safetensors").c_str()),
      0);
  EXPECT_NE(errorOf(folder.str()).find("'b.safetensors' lies outside of the folder"),
            std::string::npos);
}

TEST(Index, HubCachesAreFollowed) {
  Folder repository;
  std::string snapshot = repository.pathOf("snapshots/abc");
  ASSERT_FALSE(llvm::sys::fs::create_directories(snapshot));
  ASSERT_FALSE(llvm::sys::fs::create_directories(repository.pathOf("blobs")));
  repository.write("blobs/1", safetensors({f32(K0, 0.5f)}));
  repository.write("snapshots/abc/config.json", llamaConfig(1, ctConfig()));
  repository.write("snapshots/abc/" + indexFile, index("\"" + K0 + "\":\"a.safetensors\"", "4"));
  ASSERT_EQ(symlink("../../blobs/1", (snapshot + "/a.safetensors").c_str()), 0);
  EXPECT_EQ(valueOf(readOrFail(snapshot).layers[0], ScaleKind::K), 0.5f);
}

namespace {

/// Writes `count` shards and, if asked to, their index: each has a scale and an
/// unknown dtype, which is a note.
void writeManyShards(Folder &folder, int count, bool hasIndex) {
  folder.write("config.json", llamaConfig(count, ctConfig()));
  std::string map;
  for (int i = 0; i < count; ++i) {
    std::string layer = "model.layers." + std::to_string(i) + ".self_attn.";
    std::string file = std::to_string(100 + i) + ".safetensors";
    std::string header = "{\"" + layer +
                         "k_scale\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},\"" +
                         layer + "w\":{\"dtype\":\"F7\",\"shape\":[],\"data_offsets\":[4,4]}}";
    folder.write(file, rawSafetensors(header, std::string("\0\0\0\x3f", 4)));
    for (const char *name : {"k_scale", "w"})
      map += (map.empty() ? "\"" : ",\"") + layer + name + "\":\"" + file + "\"";
  }
  if (hasIndex)
    folder.write(indexFile, index(map, std::to_string(4 * count)));
}

} // namespace

// Threads read the shards, in an order of their own.
TEST(Shards, TheFirstFaultInOrderIsTold) {
  for (bool hasIndex : {false, true}) {
    Folder folder;
    writeManyShards(folder, 60, hasIndex);
    for (int bad : {158, 131, 117, 145})
      folder.write(std::to_string(bad) + ".safetensors", "bad");
    for (int run = 0; run < 20; ++run)
      EXPECT_EQ(errorOf(folder.str()).find(folder.pathOf("117.safetensors") + ": "), 0u);
  }
}

TEST(Shards, ResultsDoNotDependOnThreads) {
  for (bool hasIndex : {false, true}) {
    Folder folder;
    writeManyShards(folder, 60, hasIndex);
    Checkpoint first = readOrFail(folder.str());
    ASSERT_GE(first.notes.size(), 60u);
    EXPECT_EQ(first.notes[17].find("117.safetensors: "), 0u) << first.notes[17];
    for (int run = 0; run < 20; ++run) {
      Checkpoint again = readOrFail(folder.str());
      EXPECT_EQ(again.sha256, first.sha256);
      EXPECT_EQ(again.notes, first.notes);
      ASSERT_EQ(again.layers.size(), 60u);
      EXPECT_EQ(valueOf(again.layers[59], ScaleKind::K), 0.5f);
    }
  }
}

// What the index says of a shard's links holds before the shard is opened.
TEST(Shards, AMissingShardIsToldBeforeABrokenOne) {
  Folder folder;
  writeTwoShards(folder);
  folder.write("a.safetensors", "bad");
  ASSERT_EQ(unlink(folder.pathOf("b.safetensors").c_str()), 0);
  EXPECT_NE(errorOf(folder.str()).find("the shard 'b.safetensors' is missing"), std::string::npos);
}

TEST(Shards, OnlyRegularFilesAreOpened) {
  Folder folder;
  ASSERT_FALSE(llvm::sys::fs::create_directories(folder.pathOf("model.safetensors")));
  EXPECT_NE(errorOf(folder.str()).find("expected a regular file"), std::string::npos);
}

// Files of a terabyte each, which are holes on the disk: only headers are read.
TEST(Shards, SizeCostsNothing) {
  Folder folder;
  constexpr uint64_t size = uint64_t(1) << 40;
  std::string header = "{\"" + K0 +
                       "\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                       "\"w\":{\"dtype\":\"U8\",\"shape\":[" +
                       std::to_string(size) + "],\"data_offsets\":[4," + std::to_string(size + 4) +
                       "]}}";
  folder.write("config.json", llamaConfig(1, ctConfig()));
  folder.write("model.safetensors", rawSafetensors(header, std::string("\0\0\0\x3f", 4)));
  if (truncate(folder.pathOf("model.safetensors").c_str(), off_t(8 + header.size() + 4 + size)) !=
      0)
    GTEST_SKIP() << "the file system has no files of that size";
  auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(valueOf(readOrFail(folder.str()).layers[0], ScaleKind::K), 0.5f);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}
