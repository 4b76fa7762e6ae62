//===- Quark.cpp - AMD Quark's checkpoints --------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/ScaleFormat.h"

using namespace llvm;
using namespace kvq;

std::optional<FormatFacts> kvq::recogniseQuark(const FormatInput &input) {
  const JsonValue *quantization = input.config.quantization();
  if (!quantization)
    return std::nullopt;
  StringRef method = quantization->findString("quant_method");
  const JsonValue *exported = quantization->findValue("export");
  if (method != "quark" && !(method == "fp8" && exported))
    return std::nullopt;
  FormatFacts facts;
  facts.format = CheckpointFormat::Quark;
  facts.ifUnannounced = "vLLM makes no KV-cache method then";
  if (method == "quark") {
    facts.place = "'export.kv_cache_group' of config.json";
    const JsonValue *group = exported ? exported->findValue("kv_cache_group") : nullptr;
    facts.announced = group && !group->elements.empty();
    return facts;
  }
  facts.place = "'kv_cache_scheme' of config.json";
  if (const JsonValue *scheme = quantization->findValue("kv_cache_scheme")) {
    facts.dynamic = isDynamicScheme(*scheme);
    facts.announced = !facts.dynamic;
  }
  return facts;
}
