//===- RuleNotes.cpp - What kvq remarks on a resolution -------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Notes are kvq's own words, so they follow its style and not the seed's. What
// is said of engines is of vLLM 0.33 and SGLang, August 2026.
//
//===----------------------------------------------------------------------===//

#include "RuleNotes.h"
#include "kvq/Resolve/Rules.h"
#include "kvq/Support/Float32Text.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace kvq;

namespace {

constexpr unsigned qRules[] = {RuleQPositive, RuleQUnit, RuleQProbPerTensor};
constexpr unsigned probRules[] = {RuleProbPositive, RuleProbUnit, RuleQProbPerTensor};

class Notes {
public:
  Notes(const RuleInput &input, RuleOutput &output) : input(input), output(output) {}

  void run() {
    noteIgnoredKV();
    noteNotFinite();
    noteCountedAsAbsent();
    noteQuirks();
    noteVllm();
    noteCompressedTensors();
    noteSglang();
  }

private:
  void noteIgnoredKV();
  void noteNotFinite();
  void noteCountedAsAbsent();
  void noteQuirks();
  void noteVllm();
  void noteCompressedTensors();
  void noteSglang();

  void add(unsigned rule, std::string text) { output.notes.push_back({rule, std::move(text)}); }

  bool applied(Rule rule) const { return llvm::is_contained(output.rules, unsigned(rule)); }

  const std::optional<RawScale> &raw(ScaleKind kind) const { return input.scales[unsigned(kind)]; }

  float resolved(ScaleKind kind) const { return output.scales[unsigned(kind)]; }

  static std::string nameOf(ScaleKind kind) { return stringify(kind).str() + "_scale"; }

  /// "k_scale 0.5", or "k_scale of 8 numbers".
  std::string describe(ScaleKind kind) const {
    const RawScale &scale = *raw(kind);
    if (scale.numElements != 1)
      return nameOf(kind) + " of " + std::to_string(scale.numElements) + " numbers";
    return nameOf(kind) + " " + formatFloat32(scale.value);
  }

  /// The first number of a scale per head for which `is` holds, as "inf for head
  /// 3"; none where there is none.
  template <typename Predicate>
  static std::optional<std::string> findHead(const std::vector<float> &values, Predicate is) {
    auto found = llvm::find_if(values, is);
    if (found == values.end())
      return std::nullopt;
    return formatFloat32(*found) + " for head " + std::to_string(found - values.begin());
  }

  bool isSingle(ScaleKind kind) const { return raw(kind) && raw(kind)->numElements == 1; }

  /// The first rule that decided on `kind`, or the error that came before any.
  unsigned decidedBy(ScaleKind kind) const;

  /// The block for k and v ran, whether or not to its end.
  bool kvBlockRan() const { return !applied(RuleAuto) && !applied(RuleCalculated); }

  const RuleInput &input;
  RuleOutput &output;
};

void Notes::noteIgnoredKV() {
  if (kvBlockRan())
    return;
  bool isAuto = applied(RuleAuto);
  for (ScaleKind kind : {ScaleKind::K, ScaleKind::V})
    if (raw(kind))
      add(isAuto ? RuleAuto : RuleCalculated,
          describe(kind) + " is ignored with " +
              (isAuto ? "kv_cache_dtype 'auto'" : "calculate_kv_scales") + ": it stays at 1.0");
}

unsigned Notes::decidedBy(ScaleKind kind) const {
  bool isKV = kind == ScaleKind::K || kind == ScaleKind::V;
  for (unsigned rule : output.rules)
    if (isKV ? rule <= RuleKVLarger
             : llvm::is_contained(kind == ScaleKind::Q ? qRules : probRules, rule))
      return rule;
  return output.rules.back();
}

void Notes::noteNotFinite() {
  auto isNotFinite = [](float value) { return !std::isfinite(value); };
  for (ScaleKind kind : allValues<ScaleKind>()) {
    if (const std::vector<float> &heads = output.headScales[unsigned(kind)]; !heads.empty()) {
      // With rule 7 the numbers of v are k's.
      if (!raw(kind) || isSingle(kind))
        continue;
      if (auto bad = findHead(raw(kind)->values, isNotFinite))
        add(RuleKVPerTensor, describe(kind) + " has " + *bad + ", which is not finite");
      else if (auto doubled = findHead(heads, isNotFinite))
        add(RuleFnuzDoubles,
            describe(kind) + " doubles to " + *doubled + " on a fnuz chip: it is beyond float32");
      continue;
    }
    if (isSingle(kind) && !std::isfinite(raw(kind)->value))
      add(decidedBy(kind), describe(kind) + " is not finite");
    else if (!output.error && raw(kind) && raw(kind)->value > 0.0f &&
             !std::isfinite(resolved(kind)))
      add(RuleFnuzDoubles, describe(kind) + " doubles to " + formatFloat32(resolved(kind)) +
                               " on a fnuz chip: it is beyond float32");
  }
}

void Notes::noteCountedAsAbsent() {
  if (applied(RuleQUnit) && raw(ScaleKind::Q))
    add(RuleQUnit, describe(ScaleKind::Q) + " is not positive: 1.0 stands in for it");
  if (applied(RuleProbUnit) && raw(ScaleKind::Prob))
    add(RuleProbUnit, describe(ScaleKind::Prob) + " is not positive: 1.0 stands in for it");
  if (applied(RuleKVBothNegative))
    for (ScaleKind kind : {ScaleKind::K, ScaleKind::V})
      if (raw(kind))
        add(RuleKVBothNegative, describe(kind) + " is negative: 1.0 stands in for it");
  if (applied(RuleKVLarger))
    add(RuleKVLarger, raw(ScaleKind::V) ? describe(ScaleKind::V) +
                                              " is not positive: v resolves to k_scale's value"
                                        : "there is no v_scale: v resolves to k_scale's value");
  if (applied(RuleKNotPositive) && !raw(ScaleKind::K))
    add(RuleKNotPositive, "there is a v_scale but no k_scale, which counts as -1.0; vLLM stops at "
                          "an assertion here");
}

void Notes::noteQuirks() {
  if (output.error)
    return;
  if (applied(RuleQFromK) && resolved(ScaleKind::K) != 1.0f)
    add(RuleQFromK, "q_scale resolves to 1.0 although the warning says that it is set to k_scale: "
                    "the copy of k_scale is overwritten");
  if (applied(RuleKVBothNegative) && input.fnuz)
    add(RuleKVBothNegative,
        "the default 1.0 of k_scale and v_scale does not double on a fnuz chip");
  if (applied(RuleQEndsCalculation))
    add(RuleQEndsCalculation,
        applied(RuleAuto) ? "q_scale switches calculate_kv_scales off"
                          : "q_scale switches calculate_kv_scales off after the rules for k_scale "
                            "and v_scale were passed over: both stay at 1.0 and nothing "
                            "calculates them");
  bool isOtherFp8 = input.dtype == KVCacheDtype::Fp8E4M3 || input.dtype == KVCacheDtype::Fp8E5M2;
  if (isOtherFp8 && (resolved(ScaleKind::Q) == 1.0f || resolved(ScaleKind::Prob) == 1.0f))
    add(RuleUncalibrated, "q_scale or prob_scale is uncalibrated, which is warned of only where "
                          "kv_cache_dtype is exactly 'fp8', not '" +
                              stringify(input.dtype).str() + "'");
}

void Notes::noteVllm() {
  if (input.calculateKVScales)
    add(RuleCalculated, "vLLM 0.33 no longer has calculate_kv_scales");
  bool hasScale = llvm::any_of(input.scales, [](const auto &scale) { return scale.has_value(); });
  bool isQuark = input.format == CheckpointFormat::Quark;
  if (isQuark && input.dtype != KVCacheDtype::Auto && input.dtype != KVCacheDtype::Fp8E4M3)
    add(RuleKVPerTensor, "vLLM 0.33 takes Quark checkpoints with kv_cache_dtype 'fp8_e4m3' only");
  else if (input.dtype == KVCacheDtype::Fp8E5M2 && hasScale)
    add(RuleKVUnitWarning, "vLLM refuses kv_cache_dtype 'fp8_e5m2' with an FP8 checkpoint");
}

void Notes::noteCompressedTensors() {
  if (input.format != CheckpointFormat::CompressedTensors)
    return;
  const std::string engine = "vLLM 0.33 with compressed-tensors ";
  if (kvBlockRan()) {
    if (isSingle(ScaleKind::K) != isSingle(ScaleKind::V) && !applied(RuleKVPerTensor) &&
        !applied(RuleKVBothNegative))
      add(raw(ScaleKind::K) ? RuleKVLarger : RuleKNotPositive,
          engine + "takes 1.0 for the one of k_scale and v_scale that is absent");
    if (applied(RuleKVPerTensor))
      add(RuleKVPerTensor, engine + "has scales per head, which the rules refuse");
  }
  if (applied(RuleFnuzDoubles))
    add(RuleFnuzDoubles, engine + "does not double scales on a fnuz chip");
  if (applied(RuleProbPositive))
    add(RuleProbPositive, engine + "has no prob_scale");
}

void Notes::noteSglang() {
  if (!applied(RuleKNotPositive))
    return;
  // Counted as absent by SGLang: absent, negative and zero alike.
  auto countsAsAbsent = [&](ScaleKind kind) { return !raw(kind) || raw(kind)->value <= 0.0f; };
  if (countsAsAbsent(ScaleKind::K) && countsAsAbsent(ScaleKind::V))
    add(RuleKNotPositive, "SGLang takes a scale of 0.0 for absent and would use 1.0 for k and v");
}

} // namespace

void kvq::addNotes(const RuleInput &input, RuleOutput &output) { Notes(input, output).run(); }
