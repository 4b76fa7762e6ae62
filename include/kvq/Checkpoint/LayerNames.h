//===- LayerNames.h - Which tensor belongs to which layer -------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Matches the tensors' names against the layers that own a cache. Where the
// configuration does not tell the layers, the names do.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_CHECKPOINT_LAYERNAMES_H
#define KVQ_CHECKPOINT_LAYERNAMES_H

#include "kvq/Checkpoint/Geometry.h"
#include "kvq/Checkpoint/NameTable.h"
#include "kvq/Checkpoint/Shards.h"

namespace kvq {

/// A tensor whose name is a layer's followed by a suffix of the table.
struct NamedScale {
  const ScaleName *rule = nullptr;
  std::string tensor;
};

/// A layer and the names found for it.
struct NamedLayer {
  std::string name;
  AttentionLayer layer;
  /// In the order of the table.
  std::vector<NamedScale> scales;
  std::vector<std::string> zeroPoints;
};

struct NamedLayers {
  /// By (index, name).
  std::vector<NamedLayer> layers;
  /// Names that look like scales and belong to no layer, sorted.
  std::vector<std::string> unused;
  std::vector<std::string> notes;
};

llvm::Expected<NamedLayers> nameLayers(const ModelGeometry &geometry, const ShardSet &shards);

} // namespace kvq

#endif // KVQ_CHECKPOINT_LAYERNAMES_H
