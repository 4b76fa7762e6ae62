//===- GenerateKernels.cpp - Kernels for the layers of a model ------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Generate/KernelName.h"
#include "kvq/Passes.h"
#include "kvq/Support/Float32Text.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace kvq {
#define GEN_PASS_DEF_GENERATEKERNELSPASS
#include "kvq/Passes.h.inc"
} // namespace kvq

using namespace mlir;
using namespace kvq;

/// Address space of global memory in the NVVM and ROCDL dialects.
static constexpr unsigned kGlobalMemory = 1;

/// The kinds of the scales that cache operations take, in their order.
static constexpr ScaleKind kCacheScales[] = {ScaleKind::K, ScaleKind::V};

namespace {

struct GenerateKernels : kvq::impl::GenerateKernelsPassBase<GenerateKernels> {
  using GenerateKernelsPassBase::GenerateKernelsPassBase;

  void runOnOperation() override {
    auto layers = llvm::to_vector(getOperation().getOps<AttentionOp>());
    if (layers.empty())
      return;
    FailureOr<TargetAttr> found = requireTarget(getOperation());
    if (failed(found))
      return signalPassFailure();
    target = *found;
    if (failed(parseKinds()))
      return signalPassFailure();
    for (AttentionOp layer : layers)
      if (failed(generate(layer)))
        return signalPassFailure();
  }

private:
  /// Reads the option `ops`.
  LogicalResult parseKinds();

  /// Makes the kernels of one layer, or finds them among those that exist.
  LogicalResult generate(AttentionOp layer);

  /// The cache of one rank of the layer.
  FailureOr<CacheAttr> getCache(AttentionOp layer);

  /// Makes the kernel called `name`.
  void createKernel(AttentionOp layer, StringRef name, const CacheKernelSpec &spec,
                    CacheAttr cache);

  gpu::GPUModuleOp getKernelModule();

  TargetAttr target;
  SmallVector<CacheOpKind> kinds;
};

} // namespace

LogicalResult GenerateKernels::parseKinds() {
  kinds.clear();
  for (StringRef name : ops) {
    std::optional<CacheOpKind> kind = symbolize<CacheOpKind>(name);
    if (!kind)
      return getOperation().emitError("expected 'ops' to be of ")
             << listNames<CacheOpKind>() << ", but got '" << name << "'";
    kinds.push_back(*kind);
  }
  if (kinds.empty())
    kinds.assign({CacheOpKind::Store, CacheOpKind::Load});
  return success();
}

FailureOr<CacheAttr> GenerateKernels::getCache(AttentionOp layer) {
  GeometryAttr geometry = layer.getGeometryAttr();
  if (!geometry)
    return layer.emitError("expected a layer with a geometry (heads, kv_heads, head_size)");
  if (!layer.getSourceType())
    return layer.emitError("expected a layer with a source type; name one of ")
           << listNames<SourceType>();
  if (geometry.getKvLoraRank() != 0)
    return layer.emitError("expected a layout for multi-head latent attention, but got '")
           << stringify(layout) << "', which keeps K and V apart";
  int64_t heads = geometry.getKvHeads(), ranks = tensorParallelSize;
  if (ranks < 1 || (heads % ranks != 0 && ranks % heads != 0))
    return layer.emitError("expected a tensor-parallel size that divides the ")
           << heads << " KV heads or that they divide, but got " << ranks;
  std::optional<Fp8Format> format = cacheFormat(layer.getKvCacheDtype(), target.getFnuz());
  Type element = format ? getType(&getContext(), *format) : *layer.getSourceType();
  auto cache = CacheAttr::getChecked([&] { return layer.emitError(); }, &getContext(),
                                     LayoutAttr::get(&getContext(), layout), element,
                                     blockSize.getValue(), std::max<int64_t>(1, heads / ranks),
                                     geometry.getHeadSize(), align.getValue());
  if (!cache)
    return failure();
  return cache;
}

gpu::GPUModuleOp GenerateKernels::getKernelModule() {
  constexpr StringLiteral name = "kvq_kernels";
  if (auto existing = getOperation().lookupSymbol<gpu::GPUModuleOp>(name))
    return existing;
  OpBuilder builder = OpBuilder::atBlockEnd(getOperation().getBody());
  return gpu::GPUModuleOp::create(builder, getOperation().getLoc(), name);
}

LogicalResult GenerateKernels::generate(AttentionOp layer) {
  if (!layer.isResolved())
    return layer.emitError("expected resolved scales; run 'kvq-resolve-scales' first");
  FailureOr<CacheAttr> cache = getCache(layer);
  if (failed(cache))
    return failure();

  SmallVector<FloatAttr> constants;
  bool dynamic = scales == ScalesMode::Argument || layer.getCalculateKvScales();
  if (cache->getFp8Format() && !dynamic) {
    for (ScaleKind kind : kCacheScales) {
      FloatAttr scale = layer.getResolvedScale(kind);
      if (!scale.getValue().isFinite() || scale.getValue().isNegative() ||
          scale.getValue().isZero())
        return layer.emitError("expected a positive finite ")
               << stringify(kind) << "_scale, but got "
               << formatFloat32(scale.getValue().convertToFloat());
      constants.push_back(scale);
    }
  }

  SmallVector<NamedAttribute> kernels;
  for (CacheOpKind kind : kinds) {
    CacheKernelSpec spec{kind, target.getChipInfo(), bounds,
                         dynamic ? ScalesMode::Argument : ScalesMode::Fold};
    std::string name = getKernelName(spec, *cache, *layer.getSourceType(), constants);
    gpu::GPUModuleOp module = getKernelModule();
    if (!module.lookupSymbol(name))
      createKernel(layer, name, spec, *cache);
    auto symbol =
        SymbolRefAttr::get(module.getSymNameAttr(), {FlatSymbolRefAttr::get(&getContext(), name)});
    kernels.emplace_back(StringAttr::get(&getContext(), stringify(kind)), symbol);
  }
  layer.setKernelsAttr(DictionaryAttr::get(&getContext(), kernels));
  return success();
}

/// What a kernel says of one of its arguments, so that LLVM can use wide and
/// read-only accesses.
static DictionaryAttr getArgumentAttrs(Builder &builder, const KernelArgument &argument) {
  SmallVector<NamedAttribute> attrs;
  if (argument.isPointer) {
    attrs.emplace_back(builder.getStringAttr("llvm.noalias"), builder.getUnitAttr());
    attrs.emplace_back(builder.getStringAttr("llvm.align"),
                       builder.getI64IntegerAttr(argument.align));
    if (!argument.isWritten)
      attrs.emplace_back(builder.getStringAttr("llvm.readonly"), builder.getUnitAttr());
  }
  return builder.getDictionaryAttr(attrs);
}

void GenerateKernels::createKernel(AttentionOp layer, StringRef name, const CacheKernelSpec &spec,
                                   CacheAttr cache) {
  gpu::GPUModuleOp module = getKernelModule();
  ImplicitLocOpBuilder builder(layer.getLoc(), module.getBody(), module.getBody()->end());
  Type source = *layer.getSourceType();
  bool isHost = spec.chip.backend == Backend::Host;
  Type pointer = LLVM::LLVMPointerType::get(&getContext(), isHost ? 0 : kGlobalMemory);
  SmallVector<KernelArgument> arguments = kvq::getKernelArguments(spec, cache, source);

  SmallVector<Type> types;
  for (const KernelArgument &argument : arguments)
    types.push_back(argument.isPointer ? pointer : builder.getI64Type());
  auto kernel = gpu::GPUFuncOp::create(builder, name, builder.getFunctionType(types, TypeRange()));
  kernel->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), builder.getUnitAttr());
  for (auto [index, argument] : llvm::enumerate(arguments)) {
    kernel.setArgAttrs(index, getArgumentAttrs(builder, argument));
    // Printed IR shows the names with --mlir-use-nameloc-as-prefix.
    kernel.getArgument(index).setLoc(
        NameLoc::get(builder.getStringAttr(argument.name), layer.getLoc()));
  }
  if (!isHost)
    kernel.setKnownBlockSizeAttr(builder.getDenseI32ArrayAttr(
        {int32_t(kvq::getThreadMapping(spec.chip, cache, source).blockSize), 1, 1}));

  builder.setInsertionPointToStart(&kernel.getBody().front());
  // The operands are the arguments in order; only of a scale the op takes the
  // value and not the pointer.
  constexpr unsigned numRoles = unsigned(ArgumentRole::Scales) + 1;
  SmallVector<Value> operands;
  SmallVector<int32_t> segments(numRoles, 0);
  for (auto [argument, value] : llvm::zip_equal(arguments, kernel.getArguments())) {
    Value operand = value;
    if (argument.role == ArgumentRole::Scales)
      operand = LLVM::LoadOp::create(builder, builder.getF32Type(), value, argument.align);
    operands.push_back(operand);
    ++segments[unsigned(argument.role)];
  }
  if (cache.getFp8Format() && spec.scales == ScalesMode::Fold) {
    if (!module.lookupSymbol(layer.getSymName())) {
      OpBuilder::InsertionGuard guard(builder);
      auto isKernel = [](Operation &op) { return isa<gpu::GPUFuncOp>(op); };
      builder.setInsertionPoint(module.getBody(), llvm::find_if(*module.getBody(), isKernel));
      auto copy = cast<AttentionOp>(builder.clone(*layer));
      copy.removeKernelsAttr();
      copy.removeWarningsAttr();
      copy.removeNotesAttr();
    }
    for (ScaleKind kind : kCacheScales) {
      operands.push_back(ScaleOp::create(builder, builder.getF32Type(),
                                         FlatSymbolRefAttr::get(layer.getSymNameAttr()),
                                         ScaleKindAttr::get(&getContext(), kind)));
      ++segments[unsigned(ArgumentRole::Scales)];
    }
  }

  StringRef opName = spec.kind == CacheOpKind::Store ? CacheStoreOp::getOperationName()
                                                     : CacheLoadOp::getOperationName();
  OperationState state(builder.getLoc(), opName);
  state.addOperands(operands);
  state.addAttribute("operandSegmentSizes", builder.getDenseI32ArrayAttr(segments));
  state.addAttribute("source_type", TypeAttr::get(source));
  state.addAttribute("cache", cache);
  state.addAttribute("bounds", BoundsAttr::get(&getContext(), spec.bounds));
  builder.OpBuilder::create(state);
  gpu::ReturnOp::create(builder);
}
