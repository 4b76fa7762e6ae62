//===- Inspect.cpp - What kvqc inspect says -------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Inspect.h"
#include "Layers.h"
#include "kvq/Resolve/ResolveScales.h"

using namespace mlir;
using namespace kvq;

static std::optional<InspectedScale> inspectScale(Attribute attr) {
  if (!attr)
    return std::nullopt;
  InspectedScale scale;
  if (auto number = dyn_cast<FloatAttr>(attr)) {
    scale.value = number.getValue().convertToFloat();
    return scale;
  }
  auto tensor = cast<DenseFPElementsAttr>(attr);
  scale.value = (*tensor.value_begin<APFloat>()).convertToFloat();
  scale.hasSeveral = tensor.getNumElements() != 1;
  ArrayRef<int64_t> shape = tensor.getType().getShape();
  scale.shape.assign(shape.begin(), shape.end());
  return scale;
}

static InspectedLayer inspectLayer(AttentionOp op, bool fnuz, bool perHead) {
  InspectedLayer layer;
  layer.name = op.getSymName().str();
  layer.index = op.getIndex();
  for (ScaleKind kind : allValues<ScaleKind>())
    layer.checkpoint[unsigned(kind)] = inspectScale(op.getRawScale(kind));
  RuleOutput output = resolveLayer(op, fnuz, perHead);
  layer.resolved = output.scales;
  layer.resolvedHeads = output.headScales;
  layer.calculateKVScales = output.calculateKVScales;
  layer.warnings = getTexts(op.getWarningsAttr());
  for (const RuleText &warning : output.warnings)
    layer.warnings.push_back(warning.text);
  layer.notes = getTexts(op.getNotesAttr());
  for (const RuleText &note : output.notes)
    layer.notes.push_back(note.text);
  if (output.error)
    layer.error = output.error->text;
  if (!output.hint.empty())
    layer.notes.push_back(output.hint);
  return layer;
}

llvm::Expected<Inspection> kvq::inspect(const InspectOptions &options) {
  llvm::Expected<LoadedInput> loaded = LoadedInput::open(options.input);
  if (!loaded)
    return loaded.takeError();
  ModuleOp module = *loaded->module;
  std::vector<std::string> names;
  if (!options.target.empty())
    names.push_back(options.target);
  llvm::Expected<std::vector<Target>> targets = chooseTargets(module, names, options.resolve.fnuz);
  if (!targets)
    return targets.takeError();

  Inspection inspection;
  inspection.origin = loaded->input.getOrigin(module);
  inspection.target = targets->front();
  inspection.cacheType = describeCacheType(module, inspection.target);
  std::vector<AttentionOp> layers = getSortedLayers(module);
  inspection.dtype = layers.front().getKvCacheDtype();
  for (const std::string &note : inspection.origin.notes)
    inspection.notes.add("", note);
  for (AttentionOp op : layers) {
    if (inspection.dtype != op.getKvCacheDtype())
      inspection.dtype.reset();
    InspectedLayer layer = inspectLayer(op, inspection.target.fnuz, options.resolve.perHeadScales);
    for (const std::string &warning : layer.warnings)
      inspection.warnings.add(layer.name, warning);
    for (const std::string &note : layer.notes)
      inspection.notes.add(layer.name, note);
    if (layer.error)
      inspection.errors.push_back(llvm::toString(layerError(op, *layer.error)));
    inspection.layers.push_back(std::move(layer));
  }
  return inspection;
}
