//===- RulesTest.cpp - Rules that no table of the seed reaches, and notes --===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Resolve/Rules.h"
#include <cfloat>
#include <cmath>
#include <gtest/gtest.h>

using namespace kvq;

namespace {

constexpr float absent = -12345.0f;

RuleInput makeInput(float q, float k, float v, float prob, KVCacheDtype dtype = KVCacheDtype::Fp8) {
  RuleInput input;
  const float values[] = {q, k, v, prob};
  for (unsigned kind = 0; kind != 4; ++kind)
    if (values[kind] != absent)
      input.scales[kind] = RawScale{values[kind], 1};
  input.dtype = dtype;
  return input;
}

RuleInput fnuz(RuleInput input) {
  input.fnuz = true;
  return input;
}

RuleInput calculated(RuleInput input) {
  input.calculateKVScales = true;
  return input;
}

RuleInput from(CheckpointFormat format, RuleInput input) {
  input.format = format;
  return input;
}

RuleInput several(RuleInput input, ScaleKind kind) {
  input.scales[unsigned(kind)] = RawScale{0.5f, 8};
  return input;
}

using Scales = std::array<float, 4>;
using RuleNumbers = std::vector<unsigned>;

RuleNumbers rulesOf(const RuleOutput &output) {
  return RuleNumbers(output.rules.begin(), output.rules.end());
}

RuleNumbers numbersOf(const std::vector<RuleText> &texts) {
  RuleNumbers numbers;
  for (const RuleText &text : texts)
    numbers.push_back(text.rule);
  return numbers;
}

/// The text of the only note by `rule` that contains `part`.
bool hasNote(const RuleOutput &output, unsigned rule, const std::string &part) {
  unsigned found = 0;
  for (const RuleText &note : output.notes)
    found += note.rule == rule && note.text.find(part) != std::string::npos;
  return found == 1;
}

} // namespace

TEST(Rules, EachPathNamesTheRulesThatDecided) {
  auto rules = [](const RuleInput &input) { return rulesOf(resolveScales(input)); };
  EXPECT_EQ(rules(makeInput(0.5f, 0.25f, 0.75f, 2.0f)), (RuleNumbers{4, 11, 14}));
  EXPECT_EQ(rules(fnuz(makeInput(0.75f, 0.25f, 0.75f, 2.0f))), (RuleNumbers{4, 8, 11, 8, 14, 8}));
  EXPECT_EQ(rules(makeInput(absent, absent, absent, absent)), (RuleNumbers{5, 9, 10, 13, 15, 17}));
  EXPECT_EQ(rules(makeInput(absent, 0.25f, absent, absent)), (RuleNumbers{7, 9, 13, 15, 17}));
  EXPECT_EQ(rules(makeInput(absent, absent, 0.25f, absent)), (RuleNumbers{6}));
  EXPECT_EQ(rules(makeInput(0.5f, 0.25f, 0.5f, 0.5f, KVCacheDtype::Auto)),
            (RuleNumbers{1, 11, 14}));
  EXPECT_EQ(rules(calculated(makeInput(0.5f, 0.25f, 0.5f, 0.5f))), (RuleNumbers{2, 11, 12, 14}));
}

TEST(Rules, DoublingBeyondFloat32IsInfinite) {
  RuleOutput output = resolveScales(fnuz(makeInput(FLT_MAX, FLT_MAX, 0x1p126f, 0x1p127f)));
  EXPECT_EQ(output.scales, (Scales{INFINITY, INFINITY, 0x1p127f, INFINITY}));
  EXPECT_EQ(numbersOf(output.notes), (RuleNumbers{8, 8, 8}));
}

TEST(Rules, LargerOfUnequalSignsGoesToBoth) {
  EXPECT_EQ(resolveScales(makeInput(0.5f, 0.25f, -7.0f, 0.5f)).scales,
            (Scales{0.5f, 0.25f, 0.25f, 0.5f}));
  EXPECT_EQ(resolveScales(fnuz(makeInput(0.5f, 0.25f, NAN, 0.5f))).scales,
            (Scales{1.0f, 0.5f, 0.5f, 1.0f}));
  EXPECT_EQ(resolveScales(makeInput(0.5f, 0.25f, 0.0f, 0.5f)).scales,
            (Scales{0.5f, 0.25f, 0.25f, 0.5f}));
}

TEST(Rules, SeveralNumbersForKOrVAreTheFirstError) {
  for (ScaleKind kind : {ScaleKind::K, ScaleKind::V}) {
    RuleInput input = several(makeInput(absent, -1.0f, -1.0f, absent), kind);
    RuleOutput output = resolveScales(several(input, ScaleKind::Prob));
    ASSERT_TRUE(output.error.has_value());
    EXPECT_EQ(output.error->text, "Only support per-tensor scaling factor for fp8 KV cache");
    EXPECT_EQ(output.error->rule, RuleKVPerTensor);
    EXPECT_TRUE(output.warnings.empty());

    for (RuleInput ignoring : {input, calculated(input)}) {
      if (!ignoring.calculateKVScales)
        ignoring.dtype = KVCacheDtype::Auto;
      output = resolveScales(ignoring);
      EXPECT_FALSE(output.error.has_value());
      EXPECT_EQ(output.scales, (Scales{1.0f, 1.0f, 1.0f, 1.0f}));
      EXPECT_TRUE(hasNote(output, output.rules[0], "of 8 numbers is ignored"));
    }
  }
}

TEST(Rules, SeveralNumbersForQOrProbAreTheSecondErrorAfterTheFirstWarnings) {
  RuleInput none = makeInput(absent, absent, absent, absent);
  RuleOutput output = resolveScales(several(none, ScaleKind::Prob));
  ASSERT_TRUE(output.error.has_value());
  EXPECT_EQ(output.error->text, "Only support per-tensor scaling factorfor fp8-quantized Q/prob");
  EXPECT_EQ(output.error->rule, RuleQProbPerTensor);
  EXPECT_EQ(numbersOf(output.warnings), (RuleNumbers{RuleQFromK, RuleKVUnitWarning}));

  // A q of several numbers is not an absent one.
  output = resolveScales(several(none, ScaleKind::Q));
  EXPECT_EQ(numbersOf(output.warnings), (RuleNumbers{RuleKVUnitWarning}));
  EXPECT_EQ(output.error->rule, RuleQProbPerTensor);

  none.dtype = KVCacheDtype::Auto;
  EXPECT_EQ(resolveScales(several(none, ScaleKind::Q)).error->rule, RuleQProbPerTensor);
  EXPECT_EQ(resolveScales(several(calculated(none), ScaleKind::Prob)).error->rule,
            RuleQProbPerTensor);
}

/// A scale of a number for each head.
RawScale heads(std::vector<float> values) {
  return RawScale{values.front(), int64_t(values.size()), values};
}

RuleInput perHead(std::optional<RawScale> k, std::optional<RawScale> v) {
  RuleInput input = makeInput(0.5f, absent, absent, 0.5f, KVCacheDtype::Fp8E4M3);
  input.scales[unsigned(ScaleKind::K)] = k;
  input.scales[unsigned(ScaleKind::V)] = v;
  input.perHead = true;
  return input;
}

using Heads = std::vector<float>;

TEST(Rules, ScalesPerHeadAreResolvedNumberByNumber) {
  const unsigned k = unsigned(ScaleKind::K), v = unsigned(ScaleKind::V);
  RuleInput input = perHead(heads({0.5f, 0.25f}), RawScale{0.75f, 1});
  RuleOutput output = resolveScales(input);
  EXPECT_FALSE(output.error.has_value());
  EXPECT_EQ(output.headScales[k], (Heads{0.5f, 0.25f}));
  EXPECT_TRUE(output.headScales[v].empty());
  EXPECT_EQ(output.scales[v], 0.75f);
  EXPECT_EQ(rulesOf(output)[0], RuleKVBothPositive);

  output = resolveScales(fnuz(input));
  EXPECT_EQ(output.headScales[k], (Heads{1.0f, 0.5f}));
  EXPECT_EQ(output.scales[v], 1.5f);

  // Rule 7 copies the numbers of k, whatever v is that is not positive.
  for (std::optional<RawScale> other : {std::optional<RawScale>(), std::optional(RawScale{0.0f, 1}),
                                        std::optional(RawScale{NAN, 1})}) {
    output = resolveScales(perHead(heads({0.5f, 0.25f}), other));
    EXPECT_EQ(output.headScales[v], (Heads{0.5f, 0.25f}));
    EXPECT_EQ(rulesOf(output)[0], RuleKVLarger);
  }
  // Rule 6 has no number of k to copy.
  for (std::optional<RawScale> other :
       {std::optional<RawScale>(), std::optional(RawScale{NAN, 1})}) {
    output = resolveScales(perHead(other, heads({0.5f, 0.25f})));
    EXPECT_EQ(output.error->rule, RuleKNotPositive);
  }
}

TEST(Rules, ScalesPerHeadAreOnePositiveNumberForEachHead) {
  auto errorOf = [](RuleInput input, int64_t numHeads) {
    input.numKVHeads = numHeads;
    RuleOutput output = resolveScales(input);
    return output.error ? output.error->text : "";
  };
  const RawScale two = heads({0.5f, 0.25f});
  EXPECT_EQ(errorOf(perHead(two, two), 0), "");
  EXPECT_EQ(errorOf(perHead(two, two), 2), "");
  EXPECT_EQ(errorOf(perHead(two, two), 4),
            "expected k_scale to be one number, or one for each of 4 KV heads along one dimension, "
            "but got 2");
  EXPECT_EQ(errorOf(perHead(two, heads({0.5f, 0.25f, 0.5f})), 0),
            "expected v_scale to be one number, or one for each of 2 KV heads along one dimension, "
            "but got 3");
  for (float bad : {-0.5f, 0.0f, -0.0f, NAN, -INFINITY})
    EXPECT_NE(errorOf(perHead(two, heads({0.5f, bad})), 2), "") << bad;
  // Two dimensions are no heads.
  EXPECT_NE(errorOf(perHead(RawScale{0.5f, 2}, two), 2), "");
  // q and prob stay per tensor.
  RuleInput input = perHead(two, two);
  input.scales[unsigned(ScaleKind::Q)] = two;
  EXPECT_EQ(resolveScales(input).error->rule, RuleQProbPerTensor);
}

TEST(Rules, OnlyTheDefaultRefusalNamesTheOption) {
  RuleInput input = perHead(heads({0.5f, 0.25f}), RawScale{0.75f, 1});
  EXPECT_TRUE(resolveScales(input).hint.empty());
  input.perHead = false;
  EXPECT_NE(resolveScales(input).hint.find("'per-head-scales'"), std::string::npos);
}

TEST(Rules, WarningPrintsScalesAsJsonDoes) {
  RuleOutput output = resolveScales(makeInput(INFINITY, 0.5f, 0.5f, absent));
  ASSERT_EQ(output.warnings.size(), 1u);
  EXPECT_EQ(output.warnings[0].text,
            "Using uncalibrated q_scale inf and/or prob_scale 1.0 with fp8 attention. This may "
            "cause accuracy issues. Please make sure q/prob scaling factors are available in the "
            "fp8 checkpoint.");
  output = resolveScales(makeInput(1e-7f, 0.5f, 0.5f, absent));
  EXPECT_NE(output.warnings[0].text.find("q_scale 1e-07 and/or prob_scale 1.0 with"),
            std::string::npos);
}

TEST(RuleNotes, NothingToRemarkOnACalibratedLayer) {
  EXPECT_TRUE(resolveScales(makeInput(0.5f, 0.25f, 0.75f, 2.0f)).notes.empty());
  EXPECT_TRUE(resolveScales(fnuz(makeInput(0.75f, 0.25f, 0.75f, 2.0f))).notes.empty());
}

TEST(RuleNotes, QuirksAtWork) {
  EXPECT_TRUE(hasNote(resolveScales(makeInput(absent, 0.25f, 0.5f, 0.5f)), RuleQFromK,
                      "q_scale resolves to 1.0"));
  // With k at 1.0 the copy would have made no difference.
  EXPECT_TRUE(resolveScales(makeInput(absent, absent, absent, 0.5f)).notes.empty());
  RuleOutput output = resolveScales(calculated(makeInput(0.5f, 0.25f, 0.5f, 0.5f)));
  EXPECT_FALSE(output.calculateKVScales);
  EXPECT_EQ(output.scales, (Scales{0.5f, 1.0f, 1.0f, 0.5f}));
  EXPECT_TRUE(hasNote(output, RuleQEndsCalculation, "both stay at 1.0"));
  EXPECT_TRUE(hasNote(output, RuleCalculated, "k_scale 0.25 is ignored"));
  EXPECT_TRUE(hasNote(resolveScales(fnuz(makeInput(0.5f, absent, absent, 0.5f))),
                      RuleKVBothNegative, "does not double"));
  EXPECT_TRUE(hasNote(resolveScales(makeInput(0.5f, 0.5f, absent, 0.25f)), RuleKVLarger,
                      "there is no v_scale"));
  EXPECT_TRUE(hasNote(resolveScales(makeInput(1.0f, 0.5f, 0.5f, 0.25f, KVCacheDtype::Fp8E4M3)),
                      RuleUncalibrated, "exactly 'fp8', not 'fp8_e4m3'"));
}

TEST(RuleNotes, ScalesThatCountForNothing) {
  EXPECT_TRUE(hasNote(resolveScales(makeInput(0.0f, 0.5f, 0.5f, 0.25f)), RuleQUnit,
                      "q_scale 0.0 is not positive"));
  EXPECT_TRUE(hasNote(resolveScales(makeInput(0.5f, -2.0f, absent, 0.25f)), RuleKVBothNegative,
                      "k_scale -2.0 is negative"));
  EXPECT_TRUE(hasNote(resolveScales(makeInput(0.5f, INFINITY, 0.5f, 0.25f)), RuleKVBothPositive,
                      "k_scale inf is not finite"));
  EXPECT_TRUE(hasNote(resolveScales(makeInput(0.5f, 0.5f, NAN, 0.25f)), RuleKVLarger,
                      "v_scale nan is not finite"));
  RuleOutput output = resolveScales(makeInput(absent, absent, 0.5f, absent));
  EXPECT_EQ(output.error->text, "expected a positive k_scale where k_scale and v_scale are not "
                                "both positive or both negative, but got -1.0");
  EXPECT_TRUE(hasNote(output, RuleKNotPositive, "there is a v_scale but no k_scale"));
}

TEST(RuleNotes, EnginesThatDiffer) {
  const CheckpointFormat ct = CheckpointFormat::CompressedTensors;
  RuleOutput output = resolveScales(from(ct, fnuz(makeInput(absent, 0.25f, absent, 0.75f))));
  EXPECT_TRUE(hasNote(output, RuleKVLarger, "takes 1.0 for the one"));
  EXPECT_TRUE(hasNote(output, RuleFnuzDoubles, "does not double"));
  EXPECT_TRUE(hasNote(output, RuleProbPositive, "has no prob_scale"));
  EXPECT_TRUE(hasNote(resolveScales(from(ct, makeInput(absent, absent, 0.25f, absent))),
                      RuleKNotPositive, "takes 1.0 for the one"));

  EXPECT_TRUE(hasNote(resolveScales(makeInput(0.5f, 0.0f, absent, 0.5f)), RuleKNotPositive,
                      "SGLang takes a scale of 0.0"));
  EXPECT_FALSE(
      hasNote(resolveScales(makeInput(0.5f, 0.0f, 0.25f, 0.5f)), RuleKNotPositive, "SGLang"));

  EXPECT_TRUE(hasNote(resolveScales(makeInput(0.5f, 0.5f, 0.5f, 0.25f, KVCacheDtype::Fp8E5M2)),
                      RuleKVUnitWarning, "vLLM refuses"));
  EXPECT_TRUE(
      hasNote(resolveScales(from(CheckpointFormat::Quark, makeInput(0.5f, 0.5f, 0.5f, 0.25f))),
              RuleKVPerTensor, "'fp8_e4m3' only"));
  EXPECT_TRUE(hasNote(resolveScales(calculated(makeInput(absent, absent, absent, absent))),
                      RuleCalculated, "no longer has calculate_kv_scales"));
}
