//===- ModelOpt.cpp - NVIDIA ModelOpt's checkpoints -----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/ScaleFormat.h"
#include "kvq/Support/Quote.h"

using namespace llvm;
using namespace kvq;

/// The cache's algorithm, in lower case: 'fp8', 'nvfp4', ...; empty for none.
static std::string algorithmOf(const JsonValue *scheme) {
  if (!scheme || scheme->isNull())
    return {};
  if (scheme->isString())
    return StringRef(scheme->string).lower();
  return isFp8Scheme(*scheme) ? "fp8" : "other";
}

std::optional<FormatFacts> kvq::recogniseModelOpt(const FormatInput &input) {
  const JsonValue *quantization = input.config.quantization();
  const JsonValue *producer = quantization ? quantization->find("producer") : nullptr;
  bool isModelOpt = quantization &&
                    (StringRef(quantization->findString("quant_method")).starts_with("modelopt") ||
                     (producer && producer->findString("name") == "modelopt"));
  if (!isModelOpt && !input.hfQuantConfig)
    return std::nullopt;
  FormatFacts facts;
  facts.format = CheckpointFormat::ModelOpt;
  facts.ifUnannounced = "vLLM makes no KV-cache method then and drops them in silence";

  std::string algorithm;
  const JsonValue *entries =
      input.hfQuantConfig ? input.hfQuantConfig->find("quantization") : nullptr;
  std::string fileAlgorithm = algorithmOf(entries ? entries->find("kv_cache_quant_algo") : nullptr);
  if (isModelOpt) {
    facts.place = "'kv_cache_scheme' of config.json";
    const JsonValue *scheme = quantization->findValue("kv_cache_scheme");
    if (!scheme)
      scheme = quantization->findValue("kv_cache_quant_algo");
    algorithm = algorithmOf(scheme);
    facts.dynamic = scheme && isDynamicScheme(*scheme);
    if (input.hfQuantConfig && algorithm != fileAlgorithm)
      facts.notes.push_back("config.json and hf_quant_config.json disagree on the KV cache (" +
                            quoteName(algorithm) + " and " + quoteName(fileAlgorithm) +
                            "); vLLM follows config.json");
  } else {
    facts.place = "'kv_cache_quant_algo' of hf_quant_config.json";
    algorithm = fileAlgorithm;
  }
  facts.announced = !algorithm.empty() && !facts.dynamic;
  if (StringRef(algorithm).starts_with("nvfp4"))
    facts.notes.push_back("the scales are announced for an NVFP4 cache; ModelOpt before 2026-01 "
                          "wrote them six times too small for FP8");
  else if (!algorithm.empty() && algorithm != "fp8")
    facts.notes.push_back("the scales are announced for a cache of " + quoteName(algorithm) +
                          ", not for FP8");
  return facts;
}
