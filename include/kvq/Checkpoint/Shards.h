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
#include "kvq/Checkpoint/SafetensorsIndex.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <map>
#include <string>
#include <vector>

namespace kvq {

struct Shard {
  /// Relative to the folder.
  std::string name;
  SafetensorsHeader header;
  /// The tensors whose names may be those of scales or zero points, in the
  /// header's order.
  std::vector<const TensorEntry *> candidates;
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
  /// Every shard that holds a candidate of that name.
  llvm::ArrayRef<StoredTensor> find(llvm::StringRef candidate) const;
  /// Reads the small ones of `tensors`, side by side, and keeps their bytes.
  /// One that cannot be read is left to readBytes, which says why.
  void prefetch(llvm::ArrayRef<StoredTensor> tensors);
  /// The tensor's bytes; an error if there are more than `limit`.
  llvm::Expected<std::string> readBytes(const StoredTensor &tensor, uint64_t limit) const;
  /// An error that names the tensor's file.
  llvm::Error error(const StoredTensor &tensor, const llvm::Twine &text) const;

private:
  /// A shard as a thread has read it, or why it could not.
  struct ReadShard {
    Shard shard;
    std::string fault;
  };
  /// By name.
  using ReadShards = std::map<std::string, ReadShard>;

  std::string folder;
  ReadLog *log = nullptr;
  std::vector<Shard> shardList;
  std::optional<SafetensorsIndex> index;
  /// How many tensors there are, and how many of them lie where the index says.
  size_t numTensors = 0, numIndexed = 0;
  /// Candidates by name.
  llvm::StringMap<llvm::SmallVector<StoredTensor, 1>> places;
  llvm::DenseMap<const TensorEntry *, std::string> prefetched;

  std::string pathOf(llvm::StringRef shard) const;
  void readHeader(const std::string &name, ReadShard &result) const;
  llvm::Expected<SafetensorsIndex>
  readIndex(llvm::StringRef path, llvm::ArrayRef<std::string> fileNames, ReadShards &shards) const;
  llvm::Error takeShards(ReadShards shards, std::vector<std::string> &notes);
  void countIndexed();
  llvm::Error checkIndex(llvm::StringRef path, std::vector<std::string> &notes) const;
  void noteDoubled(std::vector<std::string> &notes) const;
};

} // namespace kvq

#endif // KVQ_CHECKPOINT_SHARDS_H
