//===- FoldScales.cpp - Scales become constants, with proof ---------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StepCounts.h"
#include "kvq/Dialect/Kvq.h"
#include "kvq/Numerics/HeadProof.h"
#include "kvq/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include <cmath>

namespace kvq {
#define GEN_PASS_DEF_FOLDSCALESPASS
#include "kvq/Passes.h.inc"
} // namespace kvq

using namespace mlir;
using namespace kvq;

namespace {

struct FoldScales : kvq::impl::FoldScalesPassBase<FoldScales> {
  using FoldScalesPassBase::FoldScalesPassBase;

  void runOnOperation() override {
    TargetAttr target = getTarget(getOperation());
    chip = target ? &target.getChipInfo() : nullptr;
    SymbolTableCollection symbols;
    WalkResult result = getOperation()->walk(
        [&](ScaleOp scale) { return WalkResult(replaceWithConstant(scale, symbols)); });
    if (result.wasInterrupted())
      return signalPassFailure();
    getOperation()->walk([&](ScaledOpInterface op) { chooseArithmetic(op); });
    eraseLayers();
    remark::analysis(getOperation()->getLoc(), remarkOptions("folded"))
        << remark::metric("ScalesFolded", numFolded) << remark::metric("OpsDecided", numDecided)
        << remark::metric("Proofs", proofs.size());
  }

private:
  static remark::RemarkOpts remarkOptions(StringRef name) {
    return remark::RemarkOpts::name(name).category("kvq-fold-scales");
  }

  LogicalResult replaceWithConstant(ScaleOp scale, SymbolTableCollection &symbols);
  void chooseArithmetic(ScaledOpInterface op);
  /// The arithmetic for one scale of `op`, a number or one for each KV head; null
  /// where it is no constant.
  Attribute chooseFor(ScaledOpInterface op, Value scale, SourceType source, Fp8Format format);
  ArithmeticAttr note(ScaledOpInterface op, float scale, const Proof &proof);
  void eraseLayers();

  /// The proof for a scale, looked up by all that it depends on, so that equal
  /// scales of many layers are proved once.
  const Proof &prove(bool isQuantizing, SourceType source, Fp8Format format, float scale);
  const ChipInfo *chip = nullptr;

  DenseMap<std::pair<unsigned, uint32_t>, Proof> proofs;
  unsigned numFolded = 0, numDecided = 0;
};

} // namespace

LogicalResult FoldScales::replaceWithConstant(ScaleOp scale, SymbolTableCollection &symbols) {
  auto layer = symbols.lookupNearestSymbolFrom<AttentionOp>(scale, scale.getLayerAttr());
  if (!layer.isResolved())
    return scale.emitOpError("expected resolved scales; run 'kvq-resolve-scales' first");
  ScaleKind kind = scale.getKind();
  if (layer.getCalculateKvScales() && kind != ScaleKind::Prob)
    return scale.emitOpError("expected a constant scale, but layer '")
           << layer.getSymName() << "' calculates its scales on the fly";
  OpBuilder builder(scale);
  Attribute value = layer.getResolvedScale(kind);
  if (auto heads = dyn_cast<DenseElementsAttr>(value))
    value = heads.reshape(cast<VectorType>(scale.getType()));
  auto constant = arith::ConstantOp::create(builder, scale.getLoc(), cast<TypedAttr>(value));
  scale.replaceAllUsesWith(constant.getResult());
  scale.erase();
  ++numFolded;
  return success();
}

const Proof &FoldScales::prove(bool isQuantizing, SourceType source, Fp8Format format,
                               float scale) {
  unsigned kernel = (unsigned(isQuantizing) << 16) | (unsigned(source) << 8) | unsigned(format);
  uint32_t bits = APFloat(scale).bitcastToAPInt().getZExtValue();
  auto [it, isNew] = proofs.try_emplace({kernel, bits});
  if (!isNew)
    return it->second;
  StepCounts counts = chip ? getStepCounts(*chip, format, !isQuantizing) : StepCounts();
  it->second = isQuantizing ? proveStore(source, format, scale, counts)
                            : proveLoad(format, source, scale, counts);
  return it->second;
}

ArithmeticAttr FoldScales::note(ScaledOpInterface op, float scale, const Proof &proof) {
  remark::passed(op->getLoc(), remarkOptions("arithmetic"))
      << "scale" << remark::metric("Scale", scale)
      << remark::metric("Method", stringify(proof.arithmetic.method))
      << remark::metric("Tried", proof.inputsTried);
  const Arithmetic &arithmetic = proof.arithmetic;
  return ArithmeticAttr::get(&getContext(), arithmetic.method, APFloat(arithmetic.a),
                             APFloat(arithmetic.b), arithmetic.in, arithmetic.truncates,
                             proof.inputsTried, proof.bySwitchPoints);
}

/// Whether a proof can be had: a scale that a user wrote need not be positive.
static bool isProvable(float scale) { return scale > 0.0f && std::isfinite(scale); }

Attribute FoldScales::chooseFor(ScaledOpInterface op, Value scale, SourceType source,
                                Fp8Format format) {
  bool isQuantizing = op.isQuantizing();
  DenseElementsAttr heads;
  if (isa<CacheOpInterface>(*op) && isa<VectorType>(scale.getType()) &&
      matchPattern(scale, m_Constant(&heads))) {
    SmallVector<float> scales = getScaleNumbers(heads);
    if (!llvm::all_of(scales, isProvable))
      return {};
    std::vector<Proof> found =
        isQuantizing ? proveStores(source, format, scales) : proveLoads(format, source, scales);
    SmallVector<Attribute> chosen;
    for (auto [value, proof] : llvm::zip_equal(scales, found))
      chosen.push_back(note(op, value, proof));
    return ArrayAttr::get(&getContext(), chosen);
  }
  FloatAttr constant;
  if (!matchPattern(scale, m_Constant(&constant)))
    return {};
  float value = constant.getValue().convertToFloat();
  // The division is always right.
  if (!isProvable(value))
    return ArithmeticAttr::get(&getContext(), isQuantizing ? Method::Divide : Method::Multiply,
                               constant.getValue(), APFloat(0.0f), SourceType::F32,
                               /*truncates=*/false, /*tried=*/0, /*by_switch_points=*/false);
  return note(op, value, prove(isQuantizing, source, format, value));
}

void FoldScales::chooseArithmetic(ScaledOpInterface op) {
  std::optional<SourceType> source = kvq::getSourceType(op.getWideElementType());
  std::optional<Fp8Format> format = getFp8Format(op.getNarrowElementType());
  if (!source || !format || op.getScaleOperands().empty() || op.getArithmeticAttr())
    return;
  SmallVector<Attribute> chosen;
  for (Value scale : op.getScaleOperands()) {
    chosen.push_back(chooseFor(op, scale, *source, *format));
    if (!chosen.back()) {
      remark::missed(op->getLoc(), remarkOptions("dynamic-scale"))
          << remark::reason("the scale is not a constant");
      return;
    }
  }
  op.setArithmeticAttr(ArrayAttr::get(&getContext(), chosen));
  ++numDecided;
}

void FoldScales::eraseLayers() {
  SmallVector<AttentionOp> layers;
  getOperation()->walk([&](AttentionOp layer) {
    if (layer.isResolved())
      layers.push_back(layer);
  });
  for (AttentionOp layer : layers)
    if (SymbolTable::symbolKnownUseEmpty(layer, SymbolTable::getNearestSymbolTable(layer)))
      layer.erase();
}
