//===- Geometry.h - Attention layers and their sizes ------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From config.json to the layers that own a KV cache: their numbers, sizes and
// the places where their tensors' names may start. What differs between model
// types is a table; what a file leaves out is its type's default, with a note.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_CHECKPOINT_GEOMETRY_H
#define KVQ_CHECKPOINT_GEOMETRY_H

#include "kvq/Checkpoint/Checkpoint.h"
#include "kvq/Checkpoint/HfConfig.h"
#include "llvm/Support/Error.h"

namespace kvq {

/// A layer that owns a cache, before its name is known.
struct AttentionLayer {
  int64_t index = 0;
  std::optional<LayerGeometry> geometry;
  /// The module's name where it is not the one of the pattern, e.g.
  /// 'cross_attn'.
  std::string module;
  /// Of a part that engines may leave out (multi-token prediction): a layer
  /// only where the checkpoint has scales for it.
  bool optional = false;
  /// The pattern of this layer alone; empty for the model's.
  std::string pattern;
};

struct ModelGeometry {
  /// Whether the table has the model type.
  bool knownType = false;
  /// Whether `layers` is complete; else the tensors' names must tell.
  bool knownLayers = false;
  /// Where a layer's names may start, the likeliest first, with '{}' for its
  /// number: 'model.layers.{}.self_attn'.
  std::vector<std::string> patterns;
  /// By index.
  std::vector<AttentionLayer> layers;
  /// What a layer found by its names has, where all layers are alike.
  std::optional<LayerGeometry> common;
  /// Why a geometry is missing.
  std::optional<std::string> error;
  std::vector<std::string> notes;
};

/// Reads the geometry. What is absent or does not fit together is
/// ModelGeometry::error; a value that no model can have fails.
llvm::Expected<ModelGeometry> readGeometry(const HfConfig &config);

/// The patterns of a model type, for files that have no geometry.
std::vector<std::string> layerPatterns(llvm::StringRef modelType);

/// `pattern` with its '{}' replaced.
std::string layerName(llvm::StringRef pattern, int64_t index, llvm::StringRef module = {});

} // namespace kvq

#endif // KVQ_CHECKPOINT_GEOMETRY_H
