//===- Shards.h - All tensors of a folder -----------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The safetensors files of a folder as one set of tensors: one file, or shards
// with their index, whose promises are checked against the headers.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_CHECKPOINT_SHARDS_H
#define KVQ_CHECKPOINT_SHARDS_H

#include "kvq/Checkpoint/InputFile.h"
#include "kvq/Checkpoint/Safetensors.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace kvq {

struct Shard {
  /// Relative to the folder.
  std::string name;
  SafetensorsHeader header;
};

/// One tensor and where it lies.
struct StoredTensor {
  const TensorEntry *entry = nullptr;
  const Shard *shard = nullptr;
};

class ShardSet {
public:
  /// Reads the headers of the files in `folder`, whose plain files are
  /// `fileNames`, sorted. Adds to `notes` what is odd but harmless.
  static llvm::Expected<ShardSet> open(llvm::StringRef folder,
                                       llvm::ArrayRef<std::string> fileNames, ReadLog &log,
                                       std::vector<std::string> &notes);

  /// In the order of the names.
  llvm::ArrayRef<Shard> shards() const { return shardList; }
  /// Whether the folder's index names the tensor; true where there is none.
  bool isIndexed(llvm::StringRef tensor) const;
  /// Every shard that holds a tensor of that name.
  std::vector<StoredTensor> find(llvm::StringRef tensor) const;
  /// The tensor's bytes; an error if there are more than `limit`.
  llvm::Expected<std::string> readBytes(const StoredTensor &tensor, uint64_t limit) const;
  /// An error that names the tensor's file.
  llvm::Error error(const StoredTensor &tensor, const llvm::Twine &text) const;

private:
  struct Place {
    uint32_t shard, tensor;
  };

  std::string folder;
  ReadLog *log = nullptr;
  std::vector<Shard> shardList;
  llvm::StringMap<Place> places;
  /// The second and further places of names that several shards hold.
  llvm::StringMap<std::vector<Place>> morePlaces;
  bool hasIndex = false;
  /// With an index: the tensors that it does not name.
  llvm::StringMap<char> unindexed;

  std::string pathOf(llvm::StringRef shard) const;
  StoredTensor at(Place place) const;
  llvm::Error readHeaders(llvm::ArrayRef<std::string> names, std::vector<std::string> &notes);
  llvm::Error checkIndex(const struct SafetensorsIndex &index, llvm::StringRef path,
                         std::vector<std::string> &notes);
};

} // namespace kvq

#endif // KVQ_CHECKPOINT_SHARDS_H
