//===- KernelManifest.cpp - Kernels as the manifest describes them --------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelManifest.h"
#include "kvq/Dialect/Kvq.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace kvq;

static ManifestScale describeScale(Value scale, Attribute arithmetic) {
  ManifestScale entry;
  DenseElementsAttr heads;
  if (isa<VectorType>(scale.getType()) && matchPattern(scale, m_Constant(&heads))) {
    llvm::append_range(entry.headValues, getScaleNumbers(heads));
    entry.tried = 0;
    for (auto chosen : cast<ArrayAttr>(arithmetic).getAsRange<ArithmeticAttr>()) {
      entry.method = stringify(chosen.getMethod()).str();
      *entry.tried += chosen.getTried();
    }
    return entry;
  }
  FloatAttr constant;
  if (!matchPattern(scale, m_Constant(&constant))) {
    entry.method = stringify(Method::Argument).str();
    return entry;
  }
  entry.value = constant.getValue().convertToFloat();
  auto chosen = cast<ArithmeticAttr>(arithmetic);
  entry.method = stringify(chosen.getMethod()).str();
  entry.tried = chosen.getTried();
  return entry;
}

static ManifestArgument describeArgument(const KernelArgument &argument) {
  ManifestArgument entry;
  entry.name = argument.name;
  entry.type = argument.isPointer ? "ptr" : "i64";
  if (argument.isPointer)
    entry.align = argument.align;
  if (argument.isStride())
    entry.divisible = argument.divisible;
  return entry;
}

/// `size` divided into parts of `by`.
static LaunchSize inParts(LaunchSize size, int64_t by) {
  return by == 1 ? size : LaunchSize::ceilDiv(std::move(size), LaunchSize::of(by));
}

/// `size` times a number.
static LaunchSize times(LaunchSize size, int64_t by) {
  return by == 1 ? size : LaunchSize::mul(std::move(size), LaunchSize::of(by));
}

/// A call of a host kernel does the whole grid.
static void describeLaunch(const CacheKernelSpec &spec, ManifestKernel &entry) {
  if (spec.chip->backend == Backend::Host)
    return;
  ThreadMapping mapping = getThreadMapping(spec);
  entry.block[0] = LaunchSize::of(mapping.blockSize);
  switch (getInfo(spec.kind).walk) {
  case Walk::Tokens:
    entry.grid[0] = times(inParts(LaunchSize::of("num_tokens"), mapping.rowsPerBlock),
                          mapping.getBlocksPerRow());
    return;
  case Walk::Blocks:
    entry.grid[0] = times(inParts(times(LaunchSize::of("num_blocks"), spec.cache.getBlockSize()),
                                  mapping.rowsPerBlock),
                          mapping.getBlocksPerRow());
    return;
  case Walk::Columns:
    entry.grid[0] = LaunchSize::mul(LaunchSize::of("num_rows"),
                                    inParts(LaunchSize::of("num_columns"),
                                            mapping.parts.front().width * mapping.vectorsPerBlock));
    return;
  }
}

ManifestKernel kvq::describeKernel(gpu::GPUFuncOp kernel, const ChipInfo &chip) {
  CacheOpInterface op;
  kernel.walk([&](CacheOpInterface found) { op = found; });
  auto scaled = cast<ScaledOpInterface>(op.getOperation());
  ArrayAttr arithmetic = scaled.getArithmeticAttr();
  CacheKernelSpec spec = op.getSpec(ScalesMode::Fold);
  CacheAttr cache = spec.cache;
  ManifestKernel entry;
  entry.symbol = kernel.getName().str();
  entry.target = chip.name.str();
  entry.op = stringify(spec.kind).str();
  entry.layout = cache.getLayout().getText();
  entry.sourceType = stringify(*getSourceType(spec.sourceType)).str();
  entry.cacheType =
      cache.getFp8Format() ? stringify(*cache.getFp8Format()).str() : entry.sourceType;
  entry.numKVHeads = cache.getKvHeads();
  entry.headSize = cache.getHeadSize();
  entry.blockSize = cache.getBlockSize();
  entry.kvLoraRank = cache.getKvLoraRank();
  entry.numHeads = spec.heads;
  entry.paddingSlot = spec.paddingSlot;
  if (llvm::is_contained(getInfo(spec.kind).roles, ArgumentRole::OutOfRange))
    entry.bounds = stringify(spec.bounds).str();

  constexpr ScaleKind computed[] = {ScaleKind::Q, ScaleKind::K, ScaleKind::V};
  for (auto [index, constant] : llvm::enumerate(spec.constants))
    entry.scaleConstants.emplace_back(stringify(computed[index]).str(), constant);

  SmallVector<ScaleKind> kinds = getScaleKinds(spec);
  for (auto [index, scale] : llvm::enumerate(scaled.getScaleOperands())) {
    ManifestScale description = describeScale(scale, arithmetic ? arithmetic[index] : Attribute());
    if (!description.value && description.headValues.empty())
      spec.scales = ScalesMode::Argument;
    entry.scales.emplace_back(stringify(kinds[index]).str(), description);
  }
  for (const KernelArgument &argument : getKernelArguments(spec))
    entry.args.push_back(describeArgument(argument));
  describeLaunch(spec, entry);
  return entry;
}
