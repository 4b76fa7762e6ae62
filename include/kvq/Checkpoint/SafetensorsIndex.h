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

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kvq {

struct SafetensorsIndex {
  /// Tensor and shard, in the file's order; tensors are unique.
  std::vector<std::pair<std::string, std::string>> weightMap;
  /// The shards, each once, sorted; plain file names ending in '.safetensors'.
  std::vector<std::string> shards;
  /// metadata.total_size, whatever number it is.
  std::optional<double> totalSize;
};

/// Parses an index. The error does not name the file.
llvm::Expected<SafetensorsIndex> parseSafetensorsIndex(llvm::StringRef text);

/// Whether `folder`/`shard` really lies in `folder`, or is a link into the
/// 'blobs' of the hub cache that `folder` is a snapshot of.
bool staysInside(llvm::StringRef folder, llvm::StringRef shard);

} // namespace kvq

#endif // KVQ_CHECKPOINT_SAFETENSORSINDEX_H
