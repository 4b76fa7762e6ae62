//===- ImportCheckpoint.cpp - Checkpoints become kvq.attention ops --------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Import/ImportCheckpoint.h"
#include "kvq/Dialect/Kvq.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace kvq;

/// A scale as the op holds it: a number, or a tensor where the file has several.
static Attribute toAttribute(Builder &builder, const CheckpointScale &scale) {
  if (scale.values.size() == 1)
    return builder.getF32FloatAttr(scale.values.front());
  auto type = RankedTensorType::get(scale.shape, builder.getF32Type());
  return DenseElementsAttr::get(type, ArrayRef<float>(scale.values));
}

static ArrayAttr toStrings(Builder &builder, ArrayRef<std::string> texts) {
  SmallVector<StringRef> views(texts.begin(), texts.end());
  return builder.getStrArrayAttr(views);
}

/// Where a layer's first scale stands: the tensor's name over its file. A layer
/// without scales is at the checkpoint itself.
static Location getLocation(MLIRContext *context, const CheckpointLayer &layer, StringRef path) {
  for (const std::optional<CheckpointScale> &scale : layer.scales) {
    if (!scale)
      continue;
    SmallString<128> file(path);
    if (llvm::sys::path::filename(path) != scale->file)
      llvm::sys::path::append(file, scale->file);
    return NameLoc::get(StringAttr::get(context, scale->tensor),
                        FileLineColLoc::get(context, file, 0, 0));
  }
  return NameLoc::get(StringAttr::get(context, layer.name),
                      FileLineColLoc::get(context, path, 0, 0));
}

void kvq::importCheckpoint(const Checkpoint &checkpoint, StringRef path,
                           const ImportOptions &options, ModuleOp module) {
  MLIRContext *context = module.getContext();
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  std::optional<SourceType> source =
      options.sourceType ? options.sourceType : checkpoint.sourceType;
  for (const CheckpointLayer &layer : checkpoint.layers) {
    OperationState state(getLocation(context, layer, path), AttentionOp::getOperationName());
    auto &properties = state.getOrAddProperties<AttentionOp::Properties>();
    properties.setSymName(builder.getStringAttr(layer.name));
    properties.setIndex(builder.getI64IntegerAttr(layer.index));
    properties.setKvCacheDtype(KVCacheDtypeAttr::get(context, options.dtype));
    if (options.calculateKVScales)
      properties.setCalculateKvScales(builder.getUnitAttr());
    if (source)
      properties.setSourceType(TypeAttr::get(getType(context, *source)));
    if (const std::optional<LayerGeometry> &geometry = layer.geometry)
      properties.setGeometry(GeometryAttr::get(context, geometry->numHeads, geometry->numKVHeads,
                                               geometry->headSize, geometry->kvLoraRank.value_or(0),
                                               geometry->qkRopeHeadDim.value_or(0)));
    if (!layer.notes.empty())
      properties.setNotes(toStrings(builder, layer.notes));
    auto op = cast<AttentionOp>(builder.create(state));
    for (ScaleKind kind : allValues<ScaleKind>())
      if (const std::optional<CheckpointScale> &scale = layer.scales[unsigned(kind)])
        op.setRawScale(kind, toAttribute(builder, *scale));
  }

  SmallVector<NamedAttribute> origin;
  auto add = [&](StringRef name, Attribute value) {
    origin.emplace_back(builder.getStringAttr(name), value);
  };
  add("format", builder.getStringAttr(stringify(checkpoint.format)));
  add("model_type", builder.getStringAttr(checkpoint.modelType));
  add("sha256", builder.getStringAttr(checkpoint.sha256));
  add("notes", toStrings(builder, checkpoint.notes));
  add("unused", toStrings(builder, checkpoint.unused));
  module->setAttr(KvqDialect::kCheckpointAttrName, builder.getDictionaryAttr(origin));
}
