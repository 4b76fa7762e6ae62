//===- Rules.h - How an engine resolves a layer's scales --------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// vLLM's BaseKVCacheMethod.process_weights_after_loading to the letter, its
// order of tests and its quirks included, as a function from numbers to numbers
// and texts. docs/rules.md numbers the rules; a Rule names one of them.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_RESOLVE_RULES_H
#define KVQ_RESOLVE_RULES_H

#include "kvq/Support/Names.h"
#include "llvm/ADT/SmallVector.h"
#include <array>
#include <optional>
#include <string>
#include <vector>

namespace kvq {

/// A raw scale as the rules see it.
struct RawScale {
  /// Its value; that of the first element where there are several.
  float value = -1.0f;
  /// How many numbers the tensor holds.
  int64_t numElements = 1;
};

/// What one layer's resolution starts from. An absent scale is the seed's -1.0.
struct RuleInput {
  /// By ScaleKind.
  std::array<std::optional<RawScale>, 4> scales;
  KVCacheDtype dtype = KVCacheDtype::Fp8;
  bool calculateKVScales = false;
  /// current_platform.is_fp8_fnuz().
  bool fnuz = false;
};

/// A text and the number of the rule in docs/rules.md that gave it.
struct RuleText {
  unsigned rule;
  std::string text;
};

struct RuleOutput {
  /// By ScaleKind; meaningless if `error` is set.
  std::array<float, 4> scales = {1.0f, 1.0f, 1.0f, 1.0f};
  /// The flag after resolution.
  bool calculateKVScales = false;
  /// The numbers of the rules that decided, in the order they were applied.
  llvm::SmallVector<unsigned> rules;
  /// The seed's warnings, word for word.
  std::vector<RuleText> warnings;
  /// What kvq remarks: a quirk at work, a scale ignored, a value not finite, an
  /// engine of today that would differ.
  std::vector<RuleText> notes;
  /// The seed's ValueError or failed assertion.
  std::optional<RuleText> error;
};

/// Applies the rules to one layer.
RuleOutput resolveScales(const RuleInput &input);

} // namespace kvq

#endif // KVQ_RESOLVE_RULES_H
