//===- Shards.cpp - All tensors of a folder -------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/Shards.h"
#include "kvq/Checkpoint/SafetensorsIndex.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace kvq;

static constexpr StringLiteral indexName = "model.safetensors.index.json";
static constexpr uint64_t maxIndexSize = 100'000'000;

std::string ShardSet::pathOf(StringRef shard) const {
  SmallString<256> path(folder);
  sys::path::append(path, shard);
  return path.str().str();
}

StoredTensor ShardSet::at(Place place) const {
  const Shard &shard = shardList[place.shard];
  return {&shard.header.tensors[place.tensor], &shard};
}

bool ShardSet::isIndexed(StringRef tensor) const { return !hasIndex || !unindexed.count(tensor); }

std::vector<StoredTensor> ShardSet::find(StringRef tensor) const {
  std::vector<StoredTensor> result;
  auto first = places.find(tensor);
  if (first == places.end())
    return result;
  result.push_back(at(first->second));
  auto more = morePlaces.find(tensor);
  if (more != morePlaces.end())
    for (Place place : more->second)
      result.push_back(at(place));
  return result;
}

Error ShardSet::error(const StoredTensor &tensor, const Twine &text) const {
  return fileError(pathOf(tensor.shard->name),
                   "tensor " + quoteName(tensor.entry->name) + ": " + text);
}

Expected<std::string> ShardSet::readBytes(const StoredTensor &tensor, uint64_t limit) const {
  uint64_t length = tensor.entry->end - tensor.entry->begin;
  if (length > limit)
    return error(tensor, "expected at most " + Twine(limit) + " bytes, but got " + Twine(length));
  Expected<InputFile> file = InputFile::open(pathOf(tensor.shard->name), tensor.shard->name, *log);
  if (!file)
    return file.takeError();
  std::string bytes(length, '\0');
  if (Error error = file->read(tensor.shard->header.dataOffset + tensor.entry->begin,
                               MutableArrayRef<char>(bytes.data(), bytes.size())))
    return error;
  return bytes;
}

Error ShardSet::readHeaders(ArrayRef<std::string> names, std::vector<std::string> &notes) {
  shardList.reserve(names.size());
  std::vector<std::string> doubled;
  for (const std::string &name : names) {
    Expected<InputFile> file = InputFile::open(pathOf(name), name, *log);
    if (!file)
      return file.takeError();
    Expected<SafetensorsHeader> header = readSafetensorsHeader(*file);
    if (!header)
      return header.takeError();
    for (const std::string &note : header->notes)
      notes.push_back(name + ": " + note);
    uint32_t shard = shardList.size();
    shardList.push_back({name, std::move(*header)});
    for (auto [index, tensor] : enumerate(shardList.back().header.tensors)) {
      Place place{shard, uint32_t(index)};
      if (places.try_emplace(tensor.name, place).second)
        continue;
      morePlaces[tensor.name].push_back(place);
      doubled.push_back(tensor.name);
    }
  }
  if (!doubled.empty())
    notes.push_back("more than one file holds " + quoteNames(doubled, 4));
  return Error::success();
}

Error ShardSet::checkIndex(const SafetensorsIndex &index, StringRef path,
                           std::vector<std::string> &notes) {
  for (const auto &[tensor, shard] : index.weightMap) {
    bool isThere = false;
    auto first = places.find(tensor);
    if (first != places.end())
      isThere = shardList[first->second.shard].name == shard;
    if (!isThere && first != places.end() && morePlaces.count(tensor))
      isThere = any_of(find(tensor),
                       [&, &shard = shard](StoredTensor t) { return t.shard->name == shard; });
    if (!isThere)
      return fileError(path, "the tensor " + quoteName(tensor) + " is not in its shard " +
                                 quoteName(shard));
  }
  hasIndex = true;
  double total = 0;
  StringMap<char> indexed;
  bool complete = index.weightMap.size() == places.size();
  if (!complete)
    for (const auto &member : index.weightMap)
      indexed.try_emplace(member.first);
  for (const Shard &shard : shardList) {
    for (const TensorEntry &tensor : shard.header.tensors) {
      total += double(tensor.end - tensor.begin);
      if (!complete && !indexed.count(tensor.name))
        unindexed.try_emplace(tensor.name);
    }
  }
  if (index.totalSize && *index.totalSize != total)
    notes.push_back((indexName + ": 'total_size' is " + Twine(uint64_t(*index.totalSize)) +
                     ", but the tensors have " + Twine(uint64_t(total)) + " bytes")
                        .str());
  return Error::success();
}

Expected<ShardSet> ShardSet::open(StringRef folder, ArrayRef<std::string> fileNames, ReadLog &log,
                                  std::vector<std::string> &notes) {
  ShardSet set;
  set.folder = folder.str();
  set.log = &log;
  std::vector<std::string> files, consolidated, pickled;
  for (const std::string &name : fileNames) {
    if (StringRef(name).ends_with(".safetensors"))
      (StringRef(name).starts_with("consolidated") ? consolidated : files).push_back(name);
    StringRef extension = sys::path::extension(name);
    if (extension == ".bin" || extension == ".pt" || extension == ".pth")
      pickled.push_back(name);
  }
  if (is_contained(fileNames, indexName)) {
    std::string path = set.pathOf(indexName);
    Expected<std::string> text = readTextFile(path, indexName, maxIndexSize, log);
    if (!text)
      return text.takeError();
    Expected<SafetensorsIndex> index = parseSafetensorsIndex(*text);
    if (!index)
      return fileError(path, toString(index.takeError()));
    for (const std::string &shard : index->shards) {
      if (!std::binary_search(fileNames.begin(), fileNames.end(), shard))
        return fileError(path, "the shard " + quoteName(shard) + " is missing");
      if (!staysInside(folder, shard))
        return fileError(path, "the shard " + quoteName(shard) + " lies outside of the folder");
    }
    erase_if(files, [&](const std::string &name) {
      return std::binary_search(index->shards.begin(), index->shards.end(), name);
    });
    if (!files.empty())
      notes.push_back((indexName + " does not name " + quoteNames(files, 4) + "; not read").str());
    if (Error error = set.readHeaders(index->shards, notes))
      return error;
    if (Error error = set.checkIndex(*index, path, notes))
      return error;
    return set;
  }
  if (files.empty())
    files = consolidated;
  if (files.empty() && !pickled.empty())
    return fileError(folder, "expected safetensors files, but got only pickled ones (" +
                                 quoteNames(pickled, 2) + "), which kvq never opens");
  if (files.empty())
    return fileError(folder, "expected safetensors files, but got none");
  if (Error error = set.readHeaders(files, notes))
    return error;
  return set;
}
