//===- CompressedTensors.cpp - llm-compressor's checkpoints ---------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/ScaleFormat.h"
#include "kvq/Support/Quote.h"

using namespace llvm;
using namespace kvq;

std::optional<FormatFacts> kvq::recogniseCompressedTensors(const FormatInput &input) {
  const JsonValue *quantization = input.config.quantization();
  if (!quantization)
    return std::nullopt;
  StringRef method = quantization->findString("quant_method");
  if (method != "compressed-tensors" && method != "compressed_tensors")
    return std::nullopt;
  FormatFacts facts;
  facts.format = CheckpointFormat::CompressedTensors;
  facts.place = "'kv_cache_scheme' of config.json";
  facts.ifUnannounced = "vLLM reads them all the same";
  const JsonValue *scheme = quantization->findValue("kv_cache_scheme");
  if (!scheme)
    return facts;
  facts.dynamic = isDynamicScheme(*scheme);
  facts.announced = !facts.dynamic;
  if (!scheme->isObject())
    return facts;
  if (!isFp8Scheme(*scheme))
    facts.notes.push_back("'kv_cache_scheme' describes no 8-bit floats; vLLM 0.33 refuses it");
  StringRef strategy = scheme->findString("strategy");
  if (!strategy.empty() && strategy != "tensor" && strategy != "attn_head")
    facts.notes.push_back("'kv_cache_scheme' has the strategy " + quoteName(strategy) +
                          ", which no engine uses; 'tensor' and 'attn_head' are");
  const JsonValue *symmetric = scheme->find("symmetric");
  if (symmetric && symmetric->kind == JsonValue::Kind::Bool && !symmetric->boolean)
    facts.notes.push_back("'kv_cache_scheme' is not symmetric; vLLM 0.33 refuses it");
  return facts;
}
