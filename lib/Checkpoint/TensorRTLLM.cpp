//===- TensorRTLLM.cpp - TensorRT-LLM's checkpoints -----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/ScaleFormat.h"

using namespace kvq;

// Recognised so that the message can say what the folder is; its files number
// layers per pipeline stage, which kvq does not read yet.
std::optional<FormatFacts> kvq::recogniseTensorRTLLM(const FormatInput &input) {
  const JsonValue &root = input.config.root;
  if (!root.find("architecture") || !root.find("quantization") || !root.find("mapping"))
    return std::nullopt;
  FormatFacts facts;
  facts.format = CheckpointFormat::TensorRTLLM;
  return facts;
}
