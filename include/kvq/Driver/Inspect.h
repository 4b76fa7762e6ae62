//===- Inspect.h - What kvqc inspect says -----------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DRIVER_INSPECT_H
#define KVQ_DRIVER_INSPECT_H

#include "kvq/Driver/Diagnostics.h"
#include "kvq/Driver/Input.h"
#include "kvq/Driver/Targets.h"
#include "kvq/Passes.h"
#include <array>

namespace kvq {

struct InspectOptions {
  InputOptions input;
  /// A chip's name; empty for the module's own target, or the host.
  std::string target;
  /// `fnuz` is for the host; `chip` is `target`'s to say.
  ResolveScalesPassOptions resolve;
};

/// A raw scale: one number, or only the shape of several.
struct InspectedScale {
  float value = 0;
  std::vector<int64_t> shape;
  bool hasSeveral = false;
};

struct InspectedLayer {
  std::string name;
  int64_t index = 0;
  /// By ScaleKind; what the checkpoint gives.
  std::array<std::optional<InspectedScale>, 4> checkpoint;
  /// By ScaleKind, unless there is an error.
  std::array<float, 4> resolved = {};
  /// By ScaleKind, the numbers of each KV head where a scale is per head.
  std::array<std::vector<float>, 4> resolvedHeads;
  /// After resolution.
  bool calculateKVScales = false;
  std::vector<std::string> warnings, notes;
  /// Why the layer cannot be resolved.
  std::optional<std::string> error;
};

struct Inspection {
  Origin origin;
  Target target;
  /// Null where layers differ.
  std::optional<KVCacheDtype> dtype;
  std::optional<std::string> cacheType;
  /// Ordered by (index, name).
  std::vector<InspectedLayer> layers;
  /// Each different text of the layers once, and what belongs to none.
  TextList warnings, notes;
  /// A line for each layer in error.
  std::vector<std::string> errors;
};

/// Reads an input and resolves its layers for one target, past those in error.
llvm::Expected<Inspection> inspect(const InspectOptions &options);

/// The schema `kvq.inspect/1`.
std::string toJsonText(const Inspection &inspection);

/// A table of the layers with raw and resolved scales, and the notes.
std::string toTableText(const Inspection &inspection);

} // namespace kvq

#endif // KVQ_DRIVER_INSPECT_H
