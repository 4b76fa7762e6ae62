//===- Rules.h - How an engine resolves a layer's scales --------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// vLLM's BaseKVCacheMethod.process_weights_after_loading to the letter, its
// order of tests and its quirks included, as a function from numbers to numbers
// and texts. docs/rules.md is the page on the rules; their numbers are those of
// the enumeration Rule, and users see them.
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

/// The rules, in the order in which the function comes to them. A number keeps
/// its meaning.
enum Rule : unsigned {
  RuleAuto = 1,              ///< kv_cache_dtype is `auto`: k and v stay at 1.0
  RuleCalculated = 2,        ///< k and v are measured at run time: they stay at 1.0
  RuleKVPerTensor = 3,       ///< a k or v of several numbers is an error
  RuleKVBothPositive = 4,    ///< k and v as given
  RuleKVBothNegative = 5,    ///< neither is there: 1.0
  RuleKNotPositive = 6,      ///< signs differ and k is not positive: an error
  RuleKVLarger = 7,          ///< signs differ: the larger one for both
  RuleFnuzDoubles = 8,       ///< what was given doubles on a fnuz chip
  RuleQFromK = 9,            ///< q negative: warned of, k copied to it
  RuleKVUnitWarning = 10,    ///< k and v are 1.0: warned of, unless e5m2
  RuleQPositive = 11,        ///< q as given
  RuleQEndsCalculation = 12, ///< ... which ends calculate_kv_scales
  RuleQUnit = 13,            ///< q not positive: 1.0, over rule 9
  RuleProbPositive = 14,     ///< prob as given
  RuleProbUnit = 15,         ///< prob not positive: 1.0
  RuleQProbPerTensor = 16,   ///< a q or prob of several numbers is an error
  RuleUncalibrated = 17,     ///< q or prob is 1.0 with exactly `fp8`: warned of
};

/// A raw scale as the rules see it.
struct RawScale {
  /// Its value; that of the first element where there are several.
  float value = -1.0f;
  /// How many numbers the tensor holds.
  int64_t numElements = 1;
  /// All of them where they lie along one dimension, as scales per head do;
  /// without them several numbers are never taken per head.
  std::vector<float> values = {};
};

/// What one layer's resolution starts from. An absent scale is the seed's -1.0.
struct RuleInput {
  /// By ScaleKind.
  std::array<std::optional<RawScale>, 4> scales;
  KVCacheDtype dtype = KVCacheDtype::Fp8;
  bool calculateKVScales = false;
  /// current_platform.is_fp8_fnuz().
  bool fnuz = false;
  /// Whether a k or v of several numbers is taken per KV head, element by element,
  /// in place of rule 3's error. Each has to be positive.
  bool perHead = false;
  /// KV heads of the layer; 0 if not known.
  int64_t numKVHeads = 0;
  /// Where the scales came from, if known. It changes notes, never a result:
  /// today's engines treat some formats apart.
  std::optional<CheckpointFormat> format;
};

/// A text and the number of the rule in docs/rules.md that gave it.
struct RuleText {
  unsigned rule;
  std::string text;
};

struct RuleOutput {
  /// By ScaleKind; meaningless if `error` is set. Of a scale per head the first.
  std::array<float, 4> scales = {1.0f, 1.0f, 1.0f, 1.0f};
  /// By ScaleKind; the numbers of a scale per head, by KV head, else none.
  std::array<std::vector<float>, 4> headScales;
  /// The flag after resolution.
  bool calculateKVScales = false;
  /// The numbers of the rules that decided, in the order they were applied.
  llvm::SmallVector<unsigned> rules;
  /// The seed's warnings, word for word.
  std::vector<RuleText> warnings;
  /// What kvq remarks: a quirk at work, a scale ignored, a value not finite, an
  /// engine of today that would differ.
  std::vector<RuleText> notes;
  /// The seed's ValueError or failed assertion, or what is wrong with scales per
  /// head.
  std::optional<RuleText> error;
  /// What would take the scale of the error; empty if nothing does.
  std::string hint;
};

/// Applies the rules to one layer. Warnings that precede an error stay in the
/// output, as the seed would have logged them.
RuleOutput resolveScales(const RuleInput &input);

} // namespace kvq

#endif // KVQ_RESOLVE_RULES_H
