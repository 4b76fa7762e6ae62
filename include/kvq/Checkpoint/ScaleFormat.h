//===- ScaleFormat.h - Recognising who wrote the scales ---------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One recogniser per checkpoint format, tried in order; the first that knows the
// configuration decides. They look at configuration alone: which names exist is
// the name table's business.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_CHECKPOINT_SCALEFORMAT_H
#define KVQ_CHECKPOINT_SCALEFORMAT_H

#include "kvq/Checkpoint/HfConfig.h"
#include "kvq/Support/Names.h"
#include <optional>
#include <string>
#include <vector>

namespace kvq {

/// What a folder says of its quantisation.
struct FormatInput {
  const HfConfig &config;
  /// The parsed hf_quant_config.json; null for none.
  const JsonValue *hfQuantConfig = nullptr;
};

struct FormatFacts {
  CheckpointFormat format = CheckpointFormat::None;
  /// Whether the configuration promises k and v scales for every layer, and
  /// which part of it would ("'kv_cache_scheme' of config.json").
  bool announced = false;
  std::string place;
  /// What engines do with scales that are there and not announced.
  std::string ifUnannounced;
  /// Scales are computed while serving: none are stored and none are missing.
  bool dynamic = false;
  std::vector<std::string> notes;
};

/// The facts where the recogniser knows the configuration.
using Recogniser = std::optional<FormatFacts> (*)(const FormatInput &);

std::optional<FormatFacts> recogniseCompressedTensors(const FormatInput &input);
std::optional<FormatFacts> recogniseModelOpt(const FormatInput &input);
std::optional<FormatFacts> recogniseQuark(const FormatInput &input);
std::optional<FormatFacts> recogniseFp8(const FormatInput &input);
std::optional<FormatFacts> recogniseTensorRTLLM(const FormatInput &input);

/// The first recogniser's facts; those of `none` where none knows it.
FormatFacts recogniseFormat(const FormatInput &input);

/// The error for a format that kvq knows by name only. `folder` is the
/// checkpoint's.
llvm::Error unsupportedFormat(llvm::StringRef folder, CheckpointFormat format);

/// Whether `scheme`, a kv_cache_scheme or the like, describes 8-bit floats.
bool isFp8Scheme(const JsonValue &scheme);
/// Whether `scheme` says that scales are computed while serving.
bool isDynamicScheme(const JsonValue &scheme);

} // namespace kvq

#endif // KVQ_CHECKPOINT_SCALEFORMAT_H
