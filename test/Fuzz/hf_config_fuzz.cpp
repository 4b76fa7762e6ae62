//===- hf_config_fuzz.cpp - Configurations made of anything ---------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The input is a config.json. Links with libFuzzer (-fsanitize=fuzzer), or with
// replay.cpp, which runs the corpus.
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/Geometry.h"
#include "kvq/Checkpoint/ScaleFormat.h"
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  llvm::Expected<kvq::HfConfig> config = kvq::parseHfConfig(text, "config.json");
  if (!config) {
    if (llvm::toString(config.takeError()).find('\n') != std::string::npos)
      std::abort();
    return 0;
  }
  (void)config->dtype();
  (void)kvq::recogniseFormat({*config, &config->root});
  llvm::Expected<kvq::ModelGeometry> geometry = kvq::readGeometry(*config);
  if (!geometry) {
    llvm::consumeError(geometry.takeError());
    return 0;
  }
  for (const kvq::AttentionLayer &layer : geometry->layers)
    if (layer.geometry && (layer.geometry->numKVHeads < 1 || layer.geometry->headSize < 1 ||
                           (layer.geometry->numHeads % layer.geometry->numKVHeads) != 0))
      std::abort();
  return 0;
}
