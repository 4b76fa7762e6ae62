//===- Checkpoint.h - What a checkpoint says of its KV cache ----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads the attention layers, their geometry and their scales from a Hugging
// Face folder or a legacy kv_cache_scales.json. Only headers and the bytes of
// the scales themselves are read. The result is plain data: what the files say,
// before any rule is applied.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_CHECKPOINT_CHECKPOINT_H
#define KVQ_CHECKPOINT_CHECKPOINT_H

#include "kvq/Support/Names.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include <array>
#include <optional>
#include <string>
#include <vector>

namespace kvq {

/// One scale of one layer, as the file gives it, converted to float32 (nearest
/// even).
struct CheckpointScale {
  /// The tensor's shape; empty for a scalar. [1], [1, 1] and the like hold one
  /// number too.
  llvm::SmallVector<int64_t, 4> shape;
  /// Every element, row-major; never empty.
  std::vector<float> values;
  /// The tensor's name in its file, or the JSON path of the number.
  std::string tensor;
  /// The file that holds it, relative to the checkpoint's folder.
  std::string file;
};

/// The sizes of a layer's attention before tensor parallelism.
struct LayerGeometry {
  int64_t numHeads = 0;
  int64_t numKVHeads = 0;
  int64_t headSize = 0;
  /// Set for multi-head latent attention: the latent and the rope part of the
  /// one row a token has (numKVHeads is 1, headSize their sum).
  std::optional<int64_t> kvLoraRank, qkRopeHeadDim;
};

/// An attention layer that owns a cache.
struct CheckpointLayer {
  /// The module path, e.g. 'model.layers.0.self_attn'.
  std::string name;
  int64_t index = 0;
  /// Absent where the configuration does not say enough; see
  /// Checkpoint::geometryError.
  std::optional<LayerGeometry> geometry;
  /// By ScaleKind; absent where the checkpoint has none.
  std::array<std::optional<CheckpointScale>, 4> scales;
  /// What kvq has to remark on this layer alone.
  std::vector<std::string> notes;
};

struct Checkpoint {
  CheckpointFormat format = CheckpointFormat::None;
  /// config.json's model_type; empty if it has none.
  std::string modelType;
  /// The value of `dtype` or `torch_dtype`, whatever it is; empty if absent.
  std::string dtypeText;
  /// dtypeText where it is one of the three that kvq has kernels for.
  std::optional<SourceType> sourceType;
  /// Ordered by (index, name).
  std::vector<CheckpointLayer> layers;
  /// Why layers lack a geometry; `compile` reports it, `inspect` does not care.
  std::optional<std::string> geometryError;
  /// What belongs to no layer.
  std::vector<std::string> notes;
  /// Names of tensors that look like scales and reached no layer.
  std::vector<std::string> unused;
  /// SHA-256, in hexadecimal, over what was read: each file's relative name,
  /// how many bytes were read of it and their SHA-256, in the names' order.
  std::string sha256;
};

struct ReadOptions {
  /// A config.json to take the geometry from (for a legacy JSON file); empty
  /// for the checkpoint's own.
  std::string configFile;
  /// How many ranks a legacy JSON file must have scales for; any number that
  /// agrees if not set.
  std::optional<int64_t> tensorParallelSize;
};

/// Reads the checkpoint at `path`, a folder or a legacy JSON file. An error is
/// one line that names the file and the thing.
llvm::Expected<Checkpoint> readCheckpoint(llvm::StringRef path, const ReadOptions &options = {});

} // namespace kvq

#endif // KVQ_CHECKPOINT_CHECKPOINT_H
