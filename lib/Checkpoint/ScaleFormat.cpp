//===- ScaleFormat.cpp - Recognising who wrote the scales -----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/ScaleFormat.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;
using namespace kvq;

// The order in which formats are tried. Quark's deprecated mode calls itself
// 'fp8' and so comes before it.
static constexpr Recogniser recognisers[] = {
    recogniseTensorRTLLM, recogniseCompressedTensors, recogniseModelOpt, recogniseQuark,
    recogniseFp8,
};

FormatFacts kvq::recogniseFormat(const FormatInput &input) {
  for (Recogniser recognise : recognisers)
    if (std::optional<FormatFacts> facts = recognise(input))
      return std::move(*facts);
  FormatFacts facts;
  facts.place = "config.json";
  facts.ifUnannounced = "vLLM has no quantisation method then and ignores them";
  if (const JsonValue *quantization = input.config.quantization()) {
    StringRef method = quantization->findString("quant_method");
    facts.notes.push_back("the quantisation method " + quoteName(method) +
                          " is none that stores scales of the KV cache");
  }
  return facts;
}

Error kvq::unsupportedFormat(StringRef folder, CheckpointFormat format) {
  std::string supported;
  for (CheckpointFormat known : allValues<CheckpointFormat>()) {
    if (known == CheckpointFormat::Mistral || known == CheckpointFormat::TensorRTLLM ||
        known == CheckpointFormat::None || known == CheckpointFormat::Mlir)
      continue;
    supported += (supported.empty() ? "'" : ", '") + stringify(known).str() + "'";
  }
  return fileError(folder, "the checkpoint format '" + stringify(format) +
                               "' is not supported; expected one of " + supported);
}

bool kvq::isFp8Scheme(const JsonValue &scheme) {
  const JsonValue *bits = scheme.find("num_bits");
  return bits && bits->number.natural == uint64_t(8) && scheme.findString("type") == "float";
}

bool kvq::isDynamicScheme(const JsonValue &scheme) {
  const JsonValue *dynamic = scheme.find("dynamic");
  return scheme.string == "dynamic" || (dynamic && dynamic->boolean);
}
