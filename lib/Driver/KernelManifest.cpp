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

/// The scales of cache operations, in the operands' order.
static constexpr ScaleKind kCacheScales[] = {ScaleKind::K, ScaleKind::V};

static ManifestScale describeScale(Value scale, Attribute arithmetic) {
  ManifestScale entry;
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
  entry.name = argument.name.str();
  entry.type = argument.isPointer ? "ptr" : "i64";
  if (argument.isPointer)
    entry.align = argument.align;
  if (argument.role == ArgumentRole::RowStrides || argument.role == ArgumentRole::CacheStrides)
    entry.divisible = argument.divisible;
  return entry;
}

/// A call of a host kernel does the whole grid.
static void describeLaunch(const ThreadMapping &mapping, const ChipInfo &chip,
                           ManifestKernel &entry) {
  if (chip.backend == Backend::Host)
    return;
  entry.block[0] = LaunchSize::of(mapping.blockSize);
  LaunchSize tokens = LaunchSize::of("num_tokens");
  entry.grid[0] = mapping.tokensPerBlock == 1
                      ? tokens
                      : LaunchSize::ceilDiv(tokens, LaunchSize::of(mapping.tokensPerBlock));
}

ManifestKernel kvq::describeKernel(gpu::GPUFuncOp kernel, const ChipInfo &chip) {
  CacheOpInterface op;
  kernel.walk([&](CacheOpInterface found) { op = found; });
  CacheAttr cache = op.getCache();
  ManifestKernel entry;
  entry.symbol = kernel.getName().str();
  entry.target = chip.name.str();
  entry.op = stringify(op.getKind()).str();
  entry.layout = stringify(cache.getLayout().getKind()).str();
  auto wide = cast<ScaledOpInterface>(op.getOperation()).getWideElementType();
  entry.sourceType = stringify(*getSourceType(wide)).str();
  entry.cacheType =
      cache.getFp8Format() ? stringify(*cache.getFp8Format()).str() : entry.sourceType;
  entry.numKVHeads = cache.getKvHeads();
  entry.headSize = cache.getHeadSize();
  entry.blockSize = cache.getBlockSize();

  auto scaled = cast<ScaledOpInterface>(op.getOperation());
  ArrayAttr arithmetic = scaled.getArithmeticAttr();
  auto mode = ScalesMode::Fold;
  for (auto [index, scale] : llvm::enumerate(scaled.getScaleOperands())) {
    ManifestScale description = describeScale(scale, arithmetic ? arithmetic[index] : Attribute());
    if (!description.value)
      mode = ScalesMode::Argument;
    entry.scales.emplace_back(stringify(kCacheScales[index]).str(), description);
  }
  for (const KernelArgument &argument : op.getKernelArguments(mode))
    entry.args.push_back(describeArgument(argument));
  describeLaunch(op.getThreadMapping(), chip, entry);
  return entry;
}
