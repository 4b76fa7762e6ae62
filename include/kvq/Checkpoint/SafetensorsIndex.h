//===- SafetensorsIndex.h - model.safetensors.index.json --------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which shard holds which tensor, as the index says.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_CHECKPOINT_SAFETENSORSINDEX_H
#define KVQ_CHECKPOINT_SAFETENSORSINDEX_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Allocator.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kvq {

struct SafetensorsIndex {
  using WeightMap = llvm::StringMap<uint32_t, llvm::BumpPtrAllocator>;

  /// The tensors, each with its shard's place in `shards`.
  WeightMap weightMap;
  /// The same in the file's order.
  std::vector<const WeightMap::value_type *> order;
  /// The shards, each once, sorted; plain file names ending in '.safetensors'.
  std::vector<std::string> shards;
  /// metadata.total_size, whatever number it is.
  std::optional<double> totalSize;
};

/// Parses an index. The error does not name the file. Calls `onShard` with each
/// shard as soon as it is named, so that its reading can begin; what comes later
/// may still be an error.
llvm::Expected<SafetensorsIndex>
parseSafetensorsIndex(llvm::StringRef text,
                      llvm::function_ref<void(const std::string &)> onShard = nullptr);

/// Whether `folder`/`shard` really lies in `folder`, or is a link into the
/// 'blobs' of the hub cache that `folder` is a snapshot of.
bool staysInside(llvm::StringRef folder, llvm::StringRef shard);

} // namespace kvq

#endif // KVQ_CHECKPOINT_SAFETENSORSINDEX_H
