//===- Rules.cpp - How an engine resolves a layer's scales ----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each branch names its rule and, in quotes, the expression of vLLM's
// process_weights_after_loading that it stands for. Comparisons are Python's:
// false with a NaN.
//
//===----------------------------------------------------------------------===//

#include "kvq/Resolve/Rules.h"
#include "RuleNotes.h"
#include "kvq/Support/Float32Text.h"

using namespace kvq;

namespace {

// The seed's texts, word for word (rule 17's holds numbers and stands there).
constexpr char kvPerTensorText[] = "Only support per-tensor scaling factor for fp8 KV cache";
constexpr char qProbPerTensorText[] =
    "Only support per-tensor scaling factorfor fp8-quantized Q/prob";
constexpr char perHeadHint[] = "the option 'per-head-scales' takes one number for each KV head";
constexpr char qFromKText[] =
    "Checkpoint does not provide a q scaling factor. Setting it to k_scale. This only matters for "
    "FP8 Attention backends (flash-attn or flashinfer).";
constexpr char kvUnitText[] =
    "Using KV cache scaling factor 1.0 for fp8_e4m3. If this is unintended, verify that k/v_scale "
    "scaling factors are properly set in the checkpoint.";

/// One run of the function: the raw scales as it reads them, and what it says.
class Resolution {
public:
  explicit Resolution(const RuleInput &input) : input(input) {
    output.calculateKVScales = input.calculateKVScales;
  }

  RuleOutput run() {
    if (input.dtype == KVCacheDtype::Auto)
      // Rule 1: "layer.kv_cache_dtype != "auto"" is false. Attention's
      // initial _k_scale and _v_scale, 1.0, stay.
      apply(RuleAuto);
    else if (input.calculateKVScales)
      // Rule 2: "not layer.calculate_kv_scales" is false; as rule 1.
      apply(RuleCalculated);
    else
      resolveKV();
    if (!output.error)
      resolveQAndProb();
    return std::move(output);
  }

private:
  void resolveKV();
  void resolveQAndProb();

  void apply(Rule rule) { output.rules.push_back(rule); }

  void warn(Rule rule, std::string text) {
    apply(rule);
    output.warnings.push_back({rule, std::move(text)});
  }

  void fail(Rule rule, std::string text) {
    apply(rule);
    output.error = RuleText{rule, std::move(text)};
  }

  /// The parameter as create_weights and the weight loader leave it: "torch.tensor(-1.0)"
  /// unless the checkpoint has it.
  float raw(ScaleKind kind) const {
    const std::optional<RawScale> &scale = input.scales[unsigned(kind)];
    return scale ? scale->value : -1.0f;
  }

  bool isPerTensor(ScaleKind kind) const {
    const std::optional<RawScale> &scale = input.scales[unsigned(kind)];
    return !scale || scale->numElements == 1;
  }

  /// A parameter's numbers, as "tolist()" makes them: Python's floats, which are
  /// doubles; several where it is per head.
  std::vector<double> numbers(ScaleKind kind) const {
    if (isPerTensor(kind))
      return {raw(kind)};
    const std::vector<float> &values = input.scales[unsigned(kind)]->values;
    return {values.begin(), values.end()};
  }

  /// Holds that several numbers are positive ones, one for each KV head.
  bool checkHeads(ScaleKind kind, int64_t &numHeads);

  void set(ScaleKind kind, const std::vector<double> &values) {
    // "copy_" into a float32 tensor.
    output.scales[unsigned(kind)] = static_cast<float>(values.front());
    if (values.size() > 1)
      output.headScales[unsigned(kind)].assign(values.begin(), values.end());
  }

  const RuleInput &input;
  RuleOutput output;
};

bool Resolution::checkHeads(ScaleKind kind, int64_t &numHeads) {
  if (isPerTensor(kind))
    return true;
  const RawScale &scale = *input.scales[unsigned(kind)];
  std::string name = stringify(kind).str() + "_scale";
  if (numHeads == 0)
    numHeads = scale.numElements;
  if (scale.values.empty() || scale.numElements != numHeads) {
    fail(RuleKVPerTensor, "expected " + name + " to be one number, or one for each of " +
                              std::to_string(numHeads) + " KV heads along one dimension, but got " +
                              std::to_string(scale.numElements));
    return false;
  }
  for (size_t head = 0; head != scale.values.size(); ++head) {
    if (scale.values[head] > 0.0f)
      continue;
    fail(RuleKVPerTensor, "expected a positive " + name + " for every KV head, but got " +
                              formatFloat32(scale.values[head]) + " for head " +
                              std::to_string(head));
    return false;
  }
  return true;
}

static bool allOnes(const std::vector<double> &values) {
  return llvm::all_of(values, [](double value) { return value == 1.0; });
}

void Resolution::resolveKV() {
  // Numbers per head are all positive, so that the first tells the branch of all.
  const float k = raw(ScaleKind::K), v = raw(ScaleKind::V);
  if (!isPerTensor(ScaleKind::K) || !isPerTensor(ScaleKind::V)) {
    if (!input.perHead) {
      // Rule 3: "not isinstance(k_scale, float) or not isinstance(v_scale, float)". It
      // stands before the tests of signs, which have no answer for several numbers.
      fail(RuleKVPerTensor, kvPerTensorText);
      output.hint = perHeadHint;
      return;
    }
    int64_t numHeads = input.numKVHeads;
    if (!checkHeads(ScaleKind::K, numHeads) || !checkHeads(ScaleKind::V, numHeads))
      return;
  }

  std::vector<double> kScale = {1.0}, vScale = {1.0};
  auto doubleBoth = [&] {
    apply(RuleFnuzDoubles);
    for (std::vector<double> *scale : {&kScale, &vScale})
      for (double &value : *scale)
        value *= 2;
  };
  if (k > 0.0f && v > 0.0f) {
    // Rule 4: "layer.k_scale > 0.0 and layer.v_scale > 0.0".
    apply(RuleKVBothPositive);
    kScale = numbers(ScaleKind::K);
    vScale = numbers(ScaleKind::V);
    if (input.fnuz)
      // Rule 8: "k_scale *= 2", "v_scale *= 2".
      doubleBoth();
  } else if (k < 0.0f && v < 0.0f) {
    // Rule 5: "layer.k_scale < 0.0 and layer.v_scale < 0.0". This 1.0 does not double.
    apply(RuleKVBothNegative);
  } else {
    if (!(k > 0.0f)) {
      // Rule 6: "assert layer.k_scale > 0.0".
      fail(RuleKNotPositive, "expected a positive k_scale where k_scale and v_scale are not both "
                             "positive or both negative, but got " +
                                 formatFloat32(k));
      return;
    }
    // Rule 7: "max(layer.k_scale, layer.v_scale)": Python's, which keeps the
    // first unless the second compares greater. Here v is not positive: it never does.
    apply(RuleKVLarger);
    kScale = vScale = numbers(ScaleKind::K);
    if (input.fnuz)
      // Rule 8: "k_scale *= 2", "v_scale *= 2".
      doubleBoth();
  }

  if (isPerTensor(ScaleKind::Q) && raw(ScaleKind::Q) < 0.0f) {
    // Rule 9: "layer.q_scale < 0.0". The copy does not last: see rule 13.
    warn(RuleQFromK, qFromKText);
    set(ScaleKind::Q, {kScale.front()});
  }

  set(ScaleKind::K, kScale);
  set(ScaleKind::V, vScale);
  if (allOnes(kScale) && allOnes(vScale) && input.dtype != KVCacheDtype::Fp8E5M2)
    // Rule 10: "k_scale == 1.0 and v_scale == 1.0 and "e5m2" not in layer.kv_cache_dtype".
    warn(RuleKVUnitWarning, kvUnitText);
}

void Resolution::resolveQAndProb() {
  if (!isPerTensor(ScaleKind::Q) || !isPerTensor(ScaleKind::Prob)) {
    // Rule 16: "not is_singleton_float(q_scale) or not is_singleton_float(prob_scale)". It
    // stands before the tests of signs, as rule 3 does.
    fail(RuleQProbPerTensor, qProbPerTensorText);
    return;
  }

  // These stay float32 tensors where they are given, so doubling is float32's.
  float q = 1.0f, prob = 1.0f;
  if (raw(ScaleKind::Q) > 0.0f) {
    // Rule 11: "layer.q_scale > 0.0".
    apply(RuleQPositive);
    q = raw(ScaleKind::Q);
    if (input.fnuz) {
      // Rule 8: "q_scale *= 2".
      apply(RuleFnuzDoubles);
      q *= 2;
    }
    if (output.calculateKVScales) {
      // Rule 12: "layer.calculate_kv_scales = False", when the block for k and v
      // has been passed over already.
      apply(RuleQEndsCalculation);
      output.calculateKVScales = false;
    }
  } else {
    // Rule 13: the else of "layer.q_scale > 0.0", which forgets rule 9's copy.
    apply(RuleQUnit);
  }
  if (raw(ScaleKind::Prob) > 0.0f) {
    // Rule 14: "layer.prob_scale > 0.0".
    apply(RuleProbPositive);
    prob = raw(ScaleKind::Prob);
    if (input.fnuz) {
      // Rule 8: "prob_scale *= 2".
      apply(RuleFnuzDoubles);
      prob *= 2;
    }
  } else {
    // Rule 15: the else of "layer.prob_scale > 0.0".
    apply(RuleProbUnit);
  }

  set(ScaleKind::Q, {q});
  set(ScaleKind::Prob, {prob});
  if (input.dtype == KVCacheDtype::Fp8 && (q == 1.0f || prob == 1.0f))
    // Rule 17: "layer.kv_cache_dtype == "fp8" and (q_scale == 1.0 or prob_scale == 1.0)".
    warn(RuleUncalibrated, "Using uncalibrated q_scale " + formatFloat32(q) +
                               " and/or prob_scale " + formatFloat32(prob) +
                               " with fp8 attention. This may cause accuracy issues. Please make "
                               "sure q/prob scaling factors are available in the fp8 checkpoint.");
}

} // namespace

RuleOutput kvq::resolveScales(const RuleInput &input) {
  RuleOutput output = Resolution(input).run();
  addNotes(input, output);
  return output;
}
