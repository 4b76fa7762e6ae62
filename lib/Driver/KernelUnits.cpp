//===- KernelUnits.cpp - Kernels that are compiled by themselves ----------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel alone would do for a unit, but an assembler takes as long to start as
// a kernel takes to assemble: nvJitLink needs 2.6 s for the 252 kernels of 126
// layers at once, 5.0 s for one by one and 3.7 s for two by two. So the kernels
// of a layer stay together, as far as they change together: those of one unit
// read the same scales of it. Layers that share one kernel of a unit then share
// them all, and no unit depends on other layers.
//
//===----------------------------------------------------------------------===//

#include "KernelUnits.h"
#include "kvq/Dialect/Kvq.h"
#include "kvq/Driver/Diagnostics.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace kvq;

namespace {

/// A kernel, and the layer that it reads; null if it reads none.
struct Kernel {
  gpu::GPUFuncOp op;
  size_t index;
  AttentionOp layer;
};

/// What the kernels of a unit share: the layer, or a kernel that reads none, and
/// the scales that they read, a bit for each kind.
using UnitKey = std::pair<Operation *, unsigned>;

} // namespace

static unsigned bitOf(ScaleKind kind) { return 1u << unsigned(kind); }

/// The layer as a kernel needs it: under a name that says nothing, with no scale
/// that the kernel does not read.
static void addLayer(OpBuilder &builder, AttentionOp layer, StringRef name, unsigned scales) {
  auto copy = cast<AttentionOp>(builder.clone(*layer));
  copy.setSymName(name);
  copy.setIndex(0);
  for (ScaleKind kind : allValues<ScaleKind>()) {
    copy.setRawScale(kind, {});
    if (!(scales & bitOf(kind)))
      copy.setResolvedScale(kind, builder.getF32FloatAttr(1.0f));
  }
}

/// A module of nothing but `kernels`.
static std::string printUnit(ModuleOp module, gpu::GPUModuleOp parent, ArrayRef<Kernel> kernels,
                             unsigned scales) {
  constexpr StringLiteral layerName = "layer";
  OpBuilder builder(module.getContext());
  OwningOpRef<ModuleOp> unit = ModuleOp::create(builder.getUnknownLoc());
  (*unit)->setAttr(KvqDialect::kTargetAttrName, module->getAttr(KvqDialect::kTargetAttrName));
  builder.setInsertionPointToStart(unit->getBody());
  auto copied = cast<gpu::GPUModuleOp>(builder.cloneWithoutRegions(*parent));
  builder.setInsertionPointToStart(&copied.getRegion().emplaceBlock());
  if (AttentionOp layer = kernels.front().layer)
    addLayer(builder, layer, layerName, scales);
  for (const Kernel &kernel : kernels)
    builder.clone(*kernel.op)->walk([&](ScaleOp scale) { scale.setLayer(layerName); });
  return printWithoutLocations(*unit);
}

std::string kvq::printWithoutLocations(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  module->print(os, OpPrintingFlags().assumeVerified().enableDebugInfo(false));
  return text;
}

std::vector<KernelUnit> kvq::splitKernels(ModuleOp module) {
  std::vector<KernelUnit> units;
  size_t index = 0;
  for (auto parent : module.getOps<gpu::GPUModuleOp>()) {
    SymbolTable symbols(parent);
    llvm::MapVector<UnitKey, SmallVector<Kernel>> groups;
    for (auto op : parent.getOps<gpu::GPUFuncOp>()) {
      Kernel kernel{op, index++, {}};
      unsigned scales = 0;
      op.walk([&](ScaleOp scale) {
        kernel.layer = symbols.lookup<AttentionOp>(scale.getLayer());
        scales |= bitOf(scale.getKind());
      });
      Operation *owner = kernel.layer ? kernel.layer.getOperation() : op.getOperation();
      groups[{owner, scales}].push_back(kernel);
    }
    for (auto &[key, kernels] : groups) {
      KernelUnit unit;
      unit.text = printUnit(module, parent, kernels, key.second);
      for (const Kernel &kernel : kernels)
        unit.kernels.push_back(kernel.index);
      unit.origin = llvm::toString(kernels.front().layer ? layerError(kernels.front().layer, "")
                                                         : moduleError(module, ""));
      units.push_back(std::move(unit));
    }
  }
  return units;
}
