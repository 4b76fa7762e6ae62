//===- SafetensorsIndex.cpp - model.safetensors.index.json ----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/SafetensorsIndex.h"
#include "kvq/Support/Json.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace kvq;

static Error failure(const Twine &text) {
  return createStringError(inconvertibleErrorCode(), text);
}

/// What is wrong with a shard's name; nullopt for nothing.
static std::optional<std::string> faultOfShardName(StringRef shard) {
  if (shard.contains('/') || shard.contains('\\') || shard.contains('\0') || shard == ".." ||
      shard.empty())
    return "expected a shard to be a file name in the same folder, but got " + quoteName(shard);
  if (!shard.ends_with(".safetensors"))
    return "expected a shard's name to end in '.safetensors', but got " + quoteName(shard);
  return std::nullopt;
}

namespace {

/// Takes the index's events. A text that is not JSON is the graver fault, so
/// that what is wrong with the values waits in `fault` until all is read.
class IndexHandler : public JsonHandler {
public:
  explicit IndexHandler(function_ref<void(const std::string &)> onShard) : onShard(onShard) {}

  Expected<SafetensorsIndex> takeIndex();

  bool null() override { return scalar("null"); }
  bool boolean(bool) override { return scalar("a boolean"); }
  bool number(const JsonNumber &value) override {
    if (where() == Place::Metadata && lastKey == "total_size")
      index.totalSize = value.value;
    return scalar("a number");
  }
  bool string(std::string &value) override {
    if (where() != Place::WeightMap)
      return scalar("a string");
    mapTo(value);
    return true;
  }
  bool beginObject() override {
    Place place = Place::Other;
    if (open.empty())
      place = Place::Root;
    else if (where() == Place::Root && lastKey == "weight_map")
      place = Place::WeightMap;
    else if (where() == Place::Root && lastKey == "metadata")
      place = Place::Metadata;
    if (place == Place::WeightMap)
      hasMap = true;
    else if (place == Place::Other)
      scalar("an object");
    open.emplace_back().place = place;
    return true;
  }
  bool key(std::string &name) override {
    bool isNew = false;
    if (where() == Place::WeightMap) {
      auto [entry, inserted] = index.weightMap.try_emplace(name, 0);
      isNew = inserted;
      tensor = &*entry;
      index.order.push_back(tensor);
    } else {
      isNew = open.back().keys.insert(name).second;
      lastKey = name;
    }
    if (!isNew)
      problem = "duplicate key " + quoteName(name);
    return isNew;
  }
  bool endObject() override { return open.pop_back(), true; }
  bool beginArray() override {
    scalar("an array");
    open.emplace_back();
    return true;
  }
  bool endArray() override { return open.pop_back(), true; }

private:
  enum class Place { Root, Metadata, WeightMap, Other };
  struct Container {
    Place place = Place::Other;
    StringSet<> keys;
  };

  function_ref<void(const std::string &)> onShard;
  SafetensorsIndex index;
  std::vector<Container> open;
  SafetensorsIndex::WeightMap::value_type *tensor = nullptr;
  /// Of the objects other than the map.
  std::string lastKey;
  std::string rootKind, fault;
  bool hasMap = false;
  /// The place of each shard in index.shards, while these are not sorted.
  StringMap<uint32_t> shardPlaces;
  uint32_t lastShard = 0;

  std::optional<Place> where() const {
    return open.empty() ? std::nullopt : std::optional<Place>(open.back().place);
  }
  void setFault(const Twine &text) {
    if (fault.empty())
      fault = text.str();
  }
  bool scalar(const char *what) {
    if (open.empty())
      rootKind = what;
    else if (where() == Place::WeightMap)
      setFault("expected 'weight_map' to give " + quoteName(tensor->first()) +
               " a file name, but got " + what);
    return true;
  }
  /// Gives the last tensor its shard, most often that of the tensor before.
  void mapTo(StringRef shard) {
    if (index.shards.empty() || index.shards[lastShard] != shard) {
      auto [place, isNew] = shardPlaces.try_emplace(shard, index.shards.size());
      if (isNew) {
        index.shards.push_back(shard.str());
        if (std::optional<std::string> wrong = faultOfShardName(shard))
          setFault(*wrong);
        else if (onShard)
          onShard(index.shards.back());
      }
      lastShard = place->second;
    }
    tensor->second = lastShard;
  }
};

} // namespace

Expected<SafetensorsIndex> IndexHandler::takeIndex() {
  if (!rootKind.empty())
    return failure("expected an object, but got " + rootKind);
  if (!hasMap)
    return failure("expected 'weight_map' to be an object of file names");
  if (!fault.empty())
    return failure(fault);
  llvm::sort(index.shards);
  std::vector<uint32_t> sortedPlaces(index.shards.size());
  for (auto [place, shard] : enumerate(index.shards))
    sortedPlaces[shardPlaces.find(shard)->second] = place;
  for (auto &entry : index.weightMap)
    entry.second = sortedPlaces[entry.second];
  return std::move(index);
}

Expected<SafetensorsIndex>
kvq::parseSafetensorsIndex(StringRef text, function_ref<void(const std::string &)> onShard) {
  IndexHandler handler(onShard);
  if (Error error = readJson(text, handler, {/*maxDepth=*/32, /*allowNonFinite=*/false}))
    return error;
  return handler.takeIndex();
}

/// Whether `path` is `folder` or below it; both are real paths.
static bool isBelow(StringRef path, StringRef folder) {
  return path.consume_front(folder) && (path.empty() || path.front() == '/');
}

bool kvq::staysInside(StringRef folder, StringRef shard) {
  SmallString<256> path(folder), realPath, realFolder;
  sys::path::append(path, shard);
  // A thousand shards are a thousand look-ups: only links can lead away.
  if (!sys::fs::is_symlink_file(path))
    return true;
  if (sys::fs::real_path(path, realPath) || sys::fs::real_path(folder, realFolder))
    return false;
  if (isBelow(realPath, realFolder))
    return true;
  StringRef snapshots = sys::path::parent_path(realFolder);
  if (sys::path::filename(snapshots) != "snapshots")
    return false;
  SmallString<256> blobs(sys::path::parent_path(snapshots));
  sys::path::append(blobs, "blobs");
  SmallString<256> realBlobs;
  return !sys::fs::real_path(blobs, realBlobs) && isBelow(realPath, realBlobs);
}
