//===- Sample.h - A small manifest ------------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_TEST_UNIT_ARTEFACT_SAMPLE_H
#define KVQ_TEST_UNIT_ARTEFACT_SAMPLE_H

#include "kvq/Artefact/Manifest.h"

namespace kvq {

/// One target, one file, one kernel, one layer with a name of odd characters.
inline Manifest sampleManifest() {
  Manifest manifest;
  manifest.producer = "kvq 0.0";
  manifest.format = "mlir";
  manifest.sha256 = std::string(64, 'a');
  manifest.targets.push_back({"sm_90", "nvvm", false, std::nullopt, {{"ptx", "sm_90.ptx"}}});
  manifest.hashes.push_back({"sm_90.ptx", std::string(64, '0')});
  ManifestKernel kernel;
  kernel.symbol = "store";
  kernel.target = "sm_90";
  kernel.op = "store";
  kernel.layout = "nhd";
  kernel.sourceType = "bf16";
  kernel.cacheType = "f8E4M3FN";
  kernel.numKVHeads = 8;
  kernel.headSize = 128;
  kernel.blockSize = 16;
  kernel.scales = {{"k", {std::nullopt, "argument", std::nullopt}}, {"v", {0.5f, "multiply", 256}}};
  kernel.args = {{"key", "ptr", 16, std::nullopt}, {"num_tokens", "i64", {}, {}}};
  kernel.block[0] = LaunchSize::of(128);
  kernel.grid[0] = LaunchSize::ceilDiv(LaunchSize::of("num_tokens"), LaunchSize::of(4));
  manifest.kernels.push_back(kernel);
  ManifestLayer layer;
  layer.name = "a\"?\n\xc3\xa9";
  layer.targets.resize(1);
  layer.targets[0].target = "sm_90";
  layer.targets[0].kernels = {{"store", "store"}};
  manifest.layers.push_back(layer);
  return manifest;
}

} // namespace kvq

#endif // KVQ_TEST_UNIT_ARTEFACT_SAMPLE_H
