//===- GeometryReader.h - From config.json to a geometry --------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_CHECKPOINT_GEOMETRYREADER_H
#define KVQ_LIB_CHECKPOINT_GEOMETRYREADER_H

#include "kvq/Checkpoint/Geometry.h"
#include "kvq/Checkpoint/ModelTable.h"

namespace kvq {

using Count = std::optional<int64_t>;

/// The steps of readGeometry: Geometry.cpp puts them together, LayerCaches.cpp
/// and AttentionSizes.cpp hold those that differ between model types.
class GeometryReader {
public:
  explicit GeometryReader(const HfConfig &config) : config(config), text(config.text()) {}

  llvm::Expected<ModelGeometry> read();

private:
  const HfConfig &config;
  const JsonValue &text;
  const ModelRow *row = nullptr;
  llvm::StringRef type;
  ModelGeometry result;
  /// The words of layer_types, one per layer; empty where the file has none.
  std::vector<llvm::StringRef> words;

  // The sizes that all layers share unless a SizeRule says otherwise.
  int64_t heads = 0, kvHeads = 0, headSize = 0;

  llvm::Expected<Count> count(llvm::ArrayRef<llvm::StringRef> names, int64_t fallback = 0);
  llvm::Expected<int64_t> natural(llvm::StringRef name, int64_t fallback);
  llvm::Expected<const JsonValue *> list(llvm::StringRef name, int64_t length = -1);
  llvm::Expected<std::vector<int64_t>> indices(llvm::StringRef name, int64_t limit);
  void noteDefault(llvm::StringRef name, int64_t value);
  void miss(const llvm::Twine &text) {
    if (!result.error)
      result.error = config.file + ": " + text.str();
  }

  llvm::Expected<Count> numLayers();
  llvm::Error readWords(int64_t numLayers);
  llvm::Expected<std::vector<bool>> cacheOwners(int64_t numLayers);
  llvm::Error readSizes();
  llvm::Expected<Count> readKVHeads();
  llvm::Expected<Count> readHeadSize();
  llvm::Expected<bool> readLatent(LayerGeometry &latent);
  std::optional<LayerGeometry> makeGeometry(int64_t heads, int64_t kvHeads, int64_t size);
  llvm::Error adaptLayers();
  llvm::Error adaptBlocks();
  llvm::Error adaptGlobalLayers();
  llvm::Error adaptSlidingLayers();
  llvm::Error addPredictionLayers(int64_t numLayers);
};

} // namespace kvq

#endif // KVQ_LIB_CHECKPOINT_GEOMETRYREADER_H
