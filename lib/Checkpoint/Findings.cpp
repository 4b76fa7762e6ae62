//===- Findings.cpp - What is odd about the scales ------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/Findings.h"
#include "kvq/Checkpoint/ScaleValue.h"
#include "kvq/Support/Float32Text.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include <cmath>

using namespace llvm;
using namespace kvq;

/// How far from the median of its kind a scale may be before it is remarked
/// on: the layers of one model differ by less than ten in every calibrated
/// checkpoint seen.
static constexpr float farFactor = 64.0f;
/// Below and above, amax would be under 5e-4 or over 7 million.
static constexpr float smallest = 1e-6f, largest = 16384.0f;

static std::string nameOf(ScaleKind kind) { return (stringify(kind) + "_scale").str(); }

static const CheckpointScale *scaleOf(const CheckpointLayer &layer, ScaleKind kind) {
  const auto &scale = layer.scales[size_t(kind)];
  return scale ? &*scale : nullptr;
}

/// The median of the positive finite single numbers of a kind; 0 for fewer than
/// three.
static float medianOf(const Checkpoint &checkpoint, ScaleKind kind) {
  std::vector<float> values;
  for (const CheckpointLayer &layer : checkpoint.layers)
    if (const CheckpointScale *scale = scaleOf(layer, kind); scale && scale->values.size() == 1 &&
                                                             std::isfinite(scale->values[0]) &&
                                                             scale->values[0] > 0)
      values.push_back(scale->values[0]);
  if (values.size() < 3)
    return 0;
  auto middle = values.begin() + values.size() / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// A scale of several numbers: what its shape means and what would stand for
/// it.
static std::string severalNumbers(const CheckpointLayer &layer, ScaleKind kind,
                                  const CheckpointScale &scale) {
  std::string text = nameOf(kind) + " has the shape " + describeScale(scale);
  int64_t heads = 0;
  if (layer.geometry)
    heads = kind == ScaleKind::Q ? layer.geometry->numHeads : layer.geometry->numKVHeads;
  bool trailingOnes = all_of(drop_begin(scale.shape), [](int64_t dim) { return dim == 1; });
  if (trailingOnes && (heads == 0 || scale.shape.front() == heads))
    text += ", one number per head: only vLLM's compressed-tensors with FlashAttention 3 reads "
            "them";
  float most = *std::max_element(scale.values.begin(), scale.values.end());
  return text + "; per tensor it would be the largest, " + formatFloat32(most);
}

static void noteLayerValue(CheckpointLayer &layer, ScaleKind kind, float median) {
  const CheckpointScale *scale = scaleOf(layer, kind);
  if (!scale)
    return;
  if (scale->values.size() > 1) {
    layer.notes.push_back(severalNumbers(layer, kind, *scale));
    return;
  }
  float value = scale->values.front();
  std::string text = nameOf(kind) + " is " + formatFloat32(value);
  if (!std::isfinite(value))
    layer.notes.push_back(text + ", not a finite number");
  else if (value == 0)
    layer.notes.push_back(text + ": a store would divide by zero; the layer was never observed, "
                                 "calibrate again");
  else if (value < 0)
    layer.notes.push_back(text + ": the rules take a negative scale for an absent one");
  else if (value < smallest || value > largest)
    layer.notes.push_back(text + ", which no calibration gives");
  else if (median > 0 && (value > median * farFactor || value < median / farFactor))
    layer.notes.push_back(text + ", far from the other layers' (their median is " +
                          formatFloat32(median) + ")");
}

/// vLLM's parameters have the model's type: a float32 scale is rounded there.
static void noteRounding(Checkpoint &checkpoint, CheckpointLayer &layer) {
  if (!checkpoint.sourceType || checkpoint.format == CheckpointFormat::LegacyJson)
    return;
  for (ScaleKind kind : allValues<ScaleKind>()) {
    const CheckpointScale *scale = scaleOf(layer, kind);
    if (!scale || scale->values.size() != 1 || !std::isfinite(scale->values[0]))
      continue;
    float value = scale->values[0], rounded = roundToSource(value, *checkpoint.sourceType);
    if (rounded != value)
      layer.notes.push_back(nameOf(kind) + " " + formatFloat32(value) + " is " +
                            formatFloat32(rounded) + " where an engine keeps it in " +
                            stringify(*checkpoint.sourceType).str() + "; kvq keeps the float32");
  }
}

static void noteWholeModel(Checkpoint &checkpoint) {
  size_t count = 0, ones = 0, reciprocals = 0;
  for (const CheckpointLayer &layer : checkpoint.layers) {
    for (ScaleKind kind : {ScaleKind::K, ScaleKind::V}) {
      const CheckpointScale *scale = scaleOf(layer, kind);
      if (!scale)
        continue;
      ++count;
      if (scale->values.size() != 1)
        continue;
      float value = scale->values.front();
      ones += value == 1.0f;
      reciprocals += value > 1.0f && 1.0f / value >= 1e-3f;
    }
  }
  if (count && ones == count)
    checkpoint.notes.push_back("all " + utostr(count) +
                               " k and v scales are exactly 1.0: an exporter's floor, or there was "
                               "no calibration");
  if (count >= 4 && reciprocals == count)
    checkpoint.notes.push_back("all " + utostr(count) +
                               " k and v scales are above 1.0 and look like reciprocals of scales");
}

void kvq::noteValues(Checkpoint &checkpoint) {
  std::array<float, 4> medians = {};
  for (ScaleKind kind : allValues<ScaleKind>())
    medians[size_t(kind)] = medianOf(checkpoint, kind);
  for (CheckpointLayer &layer : checkpoint.layers) {
    for (ScaleKind kind : allValues<ScaleKind>())
      noteLayerValue(layer, kind, medians[size_t(kind)]);
    if (scaleOf(layer, ScaleKind::V) && !scaleOf(layer, ScaleKind::K))
      layer.notes.push_back("the layer has v_scale but no k_scale; vLLM stops here");
    noteRounding(checkpoint, layer);
  }
  noteWholeModel(checkpoint);
}

/// "'a', 'b' and 3 more" of the layers without that scale.
static void noteMissing(Checkpoint &checkpoint, ScaleKind kind, const std::string &place) {
  std::vector<std::string> missing;
  for (CheckpointLayer &layer : checkpoint.layers) {
    bool isLatent = layer.geometry && layer.geometry->kvLoraRank;
    if (scaleOf(layer, kind) || (kind == ScaleKind::V && isLatent))
      continue;
    // A deprecated kv_scale stands for both.
    const CheckpointScale *k = scaleOf(layer, ScaleKind::K);
    if (kind == ScaleKind::V && k && StringRef(k->tensor).ends_with(".kv_scale"))
      continue;
    missing.push_back(layer.name);
    layer.notes.push_back(place + " announces a scale, but the checkpoint has no " + nameOf(kind));
  }
  if (!missing.empty())
    checkpoint.notes.push_back(place + " announces scales, but " + utostr(missing.size()) + " of " +
                               utostr(checkpoint.layers.size()) + " layers have no " +
                               nameOf(kind) + ": " + quoteNames(missing));
}

void kvq::noteAnnouncement(Checkpoint &checkpoint, const FormatFacts &facts) {
  size_t withScales = count_if(checkpoint.layers, [](const CheckpointLayer &layer) {
    return scaleOf(layer, ScaleKind::K) || scaleOf(layer, ScaleKind::V);
  });
  if (facts.announced) {
    noteMissing(checkpoint, ScaleKind::K, facts.place);
    noteMissing(checkpoint, ScaleKind::V, facts.place);
  } else if (facts.dynamic) {
    checkpoint.notes.push_back(
        facts.place + " has scales computed while serving; " +
        (withScales ? "those stored are read all the same" : "none are stored"));
  } else if (withScales) {
    checkpoint.notes.push_back(utostr(withScales) + " of " + utostr(checkpoint.layers.size()) +
                               " layers have k or v scales, but " + facts.place +
                               " does not announce them; " + facts.ifUnannounced);
  } else if (!checkpoint.layers.empty()) {
    checkpoint.notes.push_back("the checkpoint has no k or v scales and announces none; 1.0 is "
                               "used");
  }
}
