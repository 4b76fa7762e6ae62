//===- Shards.cpp - All tensors of a folder -------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/Shards.h"
#include "kvq/Checkpoint/NameTable.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Parallel.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace kvq;

static constexpr StringLiteral indexName = "model.safetensors.index.json";
static constexpr uint64_t maxIndexSize = 100'000'000;
/// The bytes of a tensor that is kept before it is asked for.
static constexpr uint64_t maxPrefetched = 4096;

std::string ShardSet::pathOf(StringRef shard) const {
  SmallString<256> path(folder);
  sys::path::append(path, shard);
  return path.str().str();
}

bool ShardSet::isIndexed(StringRef tensor) const {
  return !index || index->weightMap.contains(tensor);
}

ArrayRef<StoredTensor> ShardSet::find(StringRef candidate) const {
  auto found = places.find(candidate);
  return found == places.end() ? ArrayRef<StoredTensor>() : found->second;
}

Error ShardSet::error(const StoredTensor &tensor, const Twine &text) const {
  return fileError(pathOf(tensor.shard->name),
                   "tensor " + quoteName(tensor.entry->name) + ": " + text);
}

static Expected<std::string> readBytesOf(InputFile &file, const StoredTensor &tensor) {
  std::string bytes(tensor.entry->numBytes(), '\0');
  if (Error error = file.read(tensor.shard->header.dataOffset + tensor.entry->begin,
                              MutableArrayRef<char>(bytes.data(), bytes.size())))
    return error;
  return bytes;
}

Expected<std::string> ShardSet::readBytes(const StoredTensor &tensor, uint64_t limit) const {
  uint64_t length = tensor.entry->numBytes();
  if (length > limit)
    return error(tensor, "expected at most " + Twine(limit) + " bytes, but got " + Twine(length));
  auto found = prefetched.find(tensor.entry);
  if (found != prefetched.end())
    return found->second;
  Expected<InputFile> file = InputFile::open(pathOf(tensor.shard->name), tensor.shard->name, *log);
  if (!file)
    return file.takeError();
  return readBytesOf(*file, tensor);
}

void ShardSet::prefetch(ArrayRef<StoredTensor> tensors) {
  MapVector<const Shard *, std::vector<StoredTensor>> byShard;
  for (const StoredTensor &tensor : tensors)
    if (tensor.entry->numBytes() <= maxPrefetched)
      byShard[tensor.shard].push_back(tensor);
  std::vector<std::vector<std::string>> bytes(byShard.size());
  parallelFor(0, byShard.size(), [&](size_t place) {
    const auto &[shard, wanted] = byShard.begin()[place];
    Expected<InputFile> file = InputFile::open(pathOf(shard->name), shard->name, *log);
    if (!file)
      return consumeError(file.takeError());
    for (const StoredTensor &tensor : wanted) {
      Expected<std::string> read = readBytesOf(*file, tensor);
      if (!read)
        return consumeError(read.takeError());
      bytes[place].push_back(std::move(*read));
    }
  });
  for (auto [group, read] : zip(byShard, bytes))
    for (auto [tensor, text] : zip(group.second, read))
      prefetched.try_emplace(tensor.entry, std::move(text));
}

void ShardSet::readHeader(const std::string &name, ReadShard &result) const {
  Expected<InputFile> file = InputFile::open(pathOf(name), name, *log);
  if (!file) {
    result.fault = toString(file.takeError());
    return;
  }
  Expected<SafetensorsHeader> header = readSafetensorsHeader(*file);
  if (!header) {
    result.fault = toString(header.takeError());
    return;
  }
  result.shard.name = name;
  result.shard.header = std::move(*header);
  for (const TensorEntry &tensor : result.shard.header.tensors)
    if (mayBeScale(tensor.name))
      result.shard.candidates.push_back(&tensor);
}

Error ShardSet::takeShards(ReadShards shards, std::vector<std::string> &notes) {
  // In the order of the names, whichever was read first.
  for (auto &[name, read] : shards) {
    if (!read.fault.empty())
      return createStringError(inconvertibleErrorCode(), read.fault);
    for (const std::string &note : read.shard.header.notes)
      notes.push_back(name + ": " + note);
    numTensors += read.shard.header.tensors.size();
    shardList.push_back(std::move(read.shard));
  }
  for (const Shard &shard : shardList)
    for (const TensorEntry *tensor : shard.candidates)
      places[tensor->name].push_back({tensor, &shard});
  if (index)
    countIndexed();
  noteDoubled(notes);
  return Error::success();
}

void ShardSet::countIndexed() {
  std::vector<size_t> counts(shardList.size());
  parallelFor(0, shardList.size(), [&](size_t place) {
    for (const TensorEntry &tensor : shardList[place].header.tensors) {
      auto found = index->weightMap.find(tensor.name);
      counts[place] += found != index->weightMap.end() && found->second == place;
    }
  });
  numIndexed = sum_of(counts, size_t(0));
}

void ShardSet::noteDoubled(std::vector<std::string> &notes) const {
  // An index has one place for each name.
  if (shardList.size() == 1 || (index && numIndexed == numTensors))
    return;
  std::vector<std::string> doubled;
  DenseSet<StringRef> seen;
  for (const Shard &shard : shardList)
    for (const TensorEntry &tensor : shard.header.tensors)
      if (!seen.insert(tensor.name).second)
        doubled.push_back(tensor.name.str());
  if (!doubled.empty())
    notes.push_back("more than one file holds " + quoteNames(doubled, 4));
}

Error ShardSet::checkIndex(StringRef path, std::vector<std::string> &notes) const {
  if (numIndexed != index->order.size())
    for (const auto *entry : index->order)
      if (!shardList[entry->second].header.places.contains(entry->first()))
        return fileError(path, "the tensor " + quoteName(entry->first()) + " is not in its shard " +
                                   quoteName(index->shards[entry->second]));
  double total = 0;
  for (const Shard &shard : shardList)
    for (const TensorEntry &tensor : shard.header.tensors)
      total += double(tensor.numBytes());
  if (index->totalSize && *index->totalSize != total)
    notes.push_back(formatv("{0}: 'total_size' is {1:f0}, but the tensors have {2:f0} bytes",
                            indexName, *index->totalSize, total));
  return Error::success();
}

/// Reads the index and, as soon as it names them, the headers of the shards.
Expected<SafetensorsIndex> ShardSet::readIndex(StringRef path, ArrayRef<std::string> fileNames,
                                               ReadShards &shards) const {
  Expected<std::string> text = readTextFile(path, maxIndexSize);
  if (!text)
    return text.takeError();
  auto isThere = [&](const std::string &shard) {
    return std::binary_search(fileNames.begin(), fileNames.end(), shard);
  };
  parallel::TaskGroup tasks;
  tasks.spawn([&] { log->add(indexName, *text); });
  Expected<SafetensorsIndex> read = parseSafetensorsIndex(*text, [&](const std::string &shard) {
    if (!isThere(shard) || !staysInside(folder, shard))
      return;
    auto place = shards.try_emplace(shard).first;
    tasks.spawn([this, place] { readHeader(place->first, place->second); });
  });
  if (!read)
    return fileError(path, toString(read.takeError()));
  for (const std::string &shard : read->shards) {
    if (!isThere(shard))
      return fileError(path, "the shard " + quoteName(shard) + " is missing");
    if (!shards.count(shard))
      return fileError(path, "the shard " + quoteName(shard) + " lies outside of the folder");
  }
  return read;
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
    ReadShards shards;
    Expected<SafetensorsIndex> read = set.readIndex(path, fileNames, shards);
    if (!read)
      return read.takeError();
    erase_if(files, [&](const std::string &name) { return shards.count(name) != 0; });
    set.index = std::move(*read);
    if (!files.empty())
      notes.push_back((indexName + " does not name " + quoteNames(files, 4) + "; not read").str());
    if (Error error = set.takeShards(std::move(shards), notes))
      return error;
    if (Error error = set.checkIndex(path, notes))
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
  ReadShards shards;
  {
    parallel::TaskGroup tasks;
    for (const std::string &name : files) {
      ReadShard &shard = shards[name];
      tasks.spawn([&] { set.readHeader(name, shard); });
    }
  }
  if (Error error = set.takeShards(std::move(shards), notes))
    return error;
  return set;
}
