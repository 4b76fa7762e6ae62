//===- ResolveScales.cpp - Rules applied to layers in IR ------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Resolve/ResolveScales.h"
#include "kvq/Passes.h"
#include "mlir/IR/BuiltinOps.h"

namespace kvq {
#define GEN_PASS_DEF_RESOLVESCALESPASS
#include "kvq/Passes.h.inc"
} // namespace kvq

using namespace mlir;
using namespace kvq;

/// A raw scale as the rules see it.
static RawScale toRawScale(Attribute attr) {
  SmallVector<float> values = getScaleNumbers(attr);
  RawScale scale{values.front(), int64_t(values.size())};
  // Scales per head are of the shape [heads] or, as llm-compressor writes them,
  // [heads, 1, 1].
  auto tensor = dyn_cast<DenseFPElementsAttr>(attr);
  if (tensor &&
      llvm::count_if(tensor.getType().getShape(), [](int64_t dim) { return dim != 1; }) == 1)
    scale.values.assign(values.begin(), values.end());
  return scale;
}

/// A resolved scale as the op holds it.
static Attribute toAttribute(Builder &builder, const RuleOutput &output, ScaleKind kind) {
  const std::vector<float> &heads = output.headScales[unsigned(kind)];
  if (heads.empty())
    return builder.getF32FloatAttr(output.scales[unsigned(kind)]);
  auto type = RankedTensorType::get(int64_t(heads.size()), builder.getF32Type());
  return DenseElementsAttr::get(type, ArrayRef<float>(heads));
}

/// Where the layer's checkpoint came from, as far as an enclosing module says.
static std::optional<CheckpointFormat> findFormat(Operation *op) {
  for (; op; op = op->getParentOp())
    if (auto origin = op->getAttrOfType<DictionaryAttr>(KvqDialect::kCheckpointAttrName))
      if (auto format = origin.getAs<StringAttr>("format"))
        return symbolize<CheckpointFormat>(format.getValue());
  return std::nullopt;
}

RuleOutput kvq::resolveLayer(AttentionOp layer, bool fnuz, bool perHead) {
  RuleInput input;
  for (ScaleKind kind : allValues<ScaleKind>())
    if (Attribute scale = layer.getRawScale(kind))
      input.scales[unsigned(kind)] = toRawScale(scale);
  input.dtype = layer.getKvCacheDtype();
  input.calculateKVScales = layer.getCalculateKvScales();
  input.fnuz = fnuz;
  input.perHead = perHead;
  if (GeometryAttr geometry = layer.getGeometryAttr())
    input.numKVHeads = geometry.getKvHeads();
  input.format = findFormat(layer);
  return resolveScales(input);
}

namespace {

struct ResolveScales : kvq::impl::ResolveScalesPassBase<ResolveScales> {
  using ResolveScalesPassBase::ResolveScalesPassBase;

  void runOnOperation() override {
    FailureOr<TargetAttr> target = setTarget();
    if (failed(target))
      return signalPassFailure();
    bool failed = false;
    getOperation().walk([&](AttentionOp layer) { failed |= resolve(layer, *target).failed(); });
    if (failed)
      signalPassFailure();
  }

  /// Gives the module its target, or takes the one that it has.
  FailureOr<TargetAttr> setTarget() {
    ModuleOp module = getOperation();
    auto present = module->getAttrOfType<TargetAttr>(KvqDialect::kTargetAttrName);
    if (chip.empty()) {
      if (present && !fnuz)
        return present;
      return module.emitError("expected the option 'chip' or a module with the attribute '")
             << KvqDialect::kTargetAttrName << "'";
    }
    const ChipInfo *info = findChip(chip);
    if (fnuz && info && info->backend != Backend::Host)
      return module.emitError("expected 'fnuz' with chip 'host' only, but got chip '")
             << chip.getValue() << "'";
    auto target = TargetAttr::getChecked([&] { return module.emitError(); }, &getContext(),
                                         StringRef(chip.getValue()), fnuz || (info && info->fnuz));
    if (!target)
      return failure();
    if (present && present != target)
      return module.emitError("expected the module's own target ")
             << present << ", but the options ask for " << target;
    module->setAttr(KvqDialect::kTargetAttrName, target);
    return target;
  }

  /// Applies the rules to one layer and reports what they say.
  LogicalResult resolve(AttentionOp layer, TargetAttr target) {
    if (layer.isResolved())
      return layer.emitOpError("expected unresolved scales, but this layer has been resolved");
    RuleOutput output = resolveLayer(layer, target.getFnuz(), perHeadScales);
    Builder builder(&getContext());
    for (const RuleText &warning : output.warnings)
      layer.emitWarning() << warning.text;
    for (const RuleText &note : output.notes)
      layer.emitRemark() << note.text << " (rule " << note.rule << ")";
    if (output.error) {
      InFlightDiagnostic error = layer.emitError() << output.error->text;
      if (!output.hint.empty())
        error.attachNote() << output.hint;
      return error;
    }

    for (ScaleKind kind : allValues<ScaleKind>())
      layer.setResolvedScale(kind, toAttribute(builder, output, kind));
    layer.setCalculateKvScales(output.calculateKVScales);
    if (!output.warnings.empty())
      layer.setWarningsAttr(appendTexts(layer.getWarningsAttr(), output.warnings));
    if (!output.notes.empty())
      layer.setNotesAttr(appendTexts(layer.getNotesAttr(), output.notes));
    return success();
  }

  ArrayAttr appendTexts(ArrayAttr present, ArrayRef<RuleText> texts) {
    SmallVector<Attribute> all;
    if (present)
      all.append(present.begin(), present.end());
    for (const RuleText &text : texts)
      all.push_back(StringAttr::get(&getContext(), text.text));
    return ArrayAttr::get(&getContext(), all);
  }
};

} // namespace
