//===- Fp8.cpp - AutoFP8's and other plain fp8 checkpoints ----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/ScaleFormat.h"

using namespace llvm;
using namespace kvq;

std::optional<FormatFacts> kvq::recogniseFp8(const FormatInput &input) {
  const JsonValue *quantization = input.config.quantization();
  if (!quantization || quantization->findString("quant_method") != "fp8")
    return std::nullopt;
  FormatFacts facts;
  facts.format = CheckpointFormat::Fp8;
  facts.place = "'kv_cache_scheme' of config.json";
  facts.ifUnannounced = "vLLM reads them all the same";
  if (const JsonValue *scheme = quantization->findValue("kv_cache_scheme")) {
    facts.dynamic = isDynamicScheme(*scheme);
    facts.announced = !facts.dynamic;
  }
  return facts;
}
