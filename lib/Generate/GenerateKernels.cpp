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
#include <cmath>

namespace kvq {
#define GEN_PASS_DEF_GENERATEKERNELSPASS
#include "kvq/Passes.h.inc"
} // namespace kvq

using namespace mlir;
using namespace kvq;

/// Address space of global memory in the NVVM and ROCDL dialects.
static constexpr unsigned kGlobalMemory = 1;

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

  /// Gives one layer its kernels.
  LogicalResult generate(AttentionOp layer);

  /// The cache of one rank of the layer, with one of the alignments.
  FailureOr<CacheAttr> getCache(AttentionOp layer, int64_t bytes);

  /// What a kernel of an operation of the layer is made for.
  CacheKernelSpec getSpec(AttentionOp layer, CacheOpKind kind, CacheAttr cache, ScalesMode mode);

  /// The same of all kernels of the operation, in caches of each alignment; the
  /// first is the one that the operation's name stands for.
  SmallVector<CacheKernelSpec, 1> getSpecs(AttentionOp layer, CacheOpKind kind,
                                           ArrayRef<CacheAttr> caches);

  /// The constants that a kernel of `spec` folds; none where it takes arguments.
  /// Tells the spec whether they are per head.
  LogicalResult collectScales(AttentionOp layer, CacheKernelSpec &spec,
                              SmallVectorImpl<Attribute> &constants);

  /// Makes a kernel, or finds it among those that exist.
  FailureOr<SymbolRefAttr> getKernel(AttentionOp layer, CacheKernelSpec spec);

  /// Makes the kernel called `name`.
  void createKernel(AttentionOp layer, StringRef name, const CacheKernelSpec &spec);

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

FailureOr<CacheAttr> GenerateKernels::getCache(AttentionOp layer, int64_t bytes) {
  GeometryAttr geometry = layer.getGeometryAttr();
  if (!geometry)
    return layer.emitError("expected a layer with a geometry (heads, kv_heads, head_size)");
  if (!layer.getSourceType())
    return layer.emitError("expected a layer with a source type; name one of ")
           << listNames<SourceType>();
  LayoutAttr order = layer.getLayoutAttr();
  if (!order)
    order = LayoutAttr::get(&getContext(), layout);
  if (order.isMLA() != (geometry.getKvLoraRank() != 0))
    return layer.emitError("expected a layout for ")
           << (order.isMLA() ? "K and V" : "multi-head latent attention") << ", but got '"
           << order.getText() << "', which keeps "
           << (order.isMLA() ? "a latent row" : "K and V apart");
  int64_t heads = geometry.getKvHeads(), ranks = tensorParallelSize;
  if (ranks < 1 || (heads % ranks != 0 && ranks % heads != 0))
    return layer.emitError("expected a tensor-parallel size that divides the ")
           << heads << " KV heads or that they divide, but got " << ranks;
  std::optional<Fp8Format> format = cacheFormat(layer.getKvCacheDtype(), target.getFnuz());
  Type element = format ? getType(&getContext(), *format) : *layer.getSourceType();
  auto cache = CacheAttr::getChecked(
      [&] { return layer.emitError(); }, &getContext(), order, element, blockSize.getValue(),
      std::max<int64_t>(1, heads / ranks), geometry.getHeadSize(), geometry.getKvLoraRank(), bytes);
  if (!cache)
    return failure();
  return cache;
}

CacheKernelSpec GenerateKernels::getSpec(AttentionOp layer, CacheOpKind kind, CacheAttr cache,
                                         ScalesMode mode) {
  CacheKernelSpec spec;
  spec.kind = kind;
  spec.chip = &target.getChipInfo();
  spec.sourceType = *layer.getSourceType();
  spec.cache = cache;
  spec.scales = mode;
  ArrayRef<ArgumentRole> roles = getInfo(kind).roles;
  if (llvm::is_contained(roles, ArgumentRole::OutOfRange))
    spec.bounds = bounds;
  if (llvm::is_contained(roles, ArgumentRole::SlotMapping)) {
    spec.slotType = slotType;
    spec.paddingSlot = paddingSlot;
  }
  if (kind == CacheOpKind::QuantizeQuery || kind == CacheOpKind::ComputeScales)
    spec.heads = std::max<int64_t>(1, layer.getGeometryAttr().getHeads() / tensorParallelSize);
  if (kind == CacheOpKind::ComputeScales)
    spec.constants = {qScaleConstant.value, kScaleConstant.value, vScaleConstant.value};
  return spec;
}

/// Whether kernels need the same of the same arguments: the earlier one serves
/// wherever the other would.
static bool needTheSame(const CacheKernelSpec &a, const CacheKernelSpec &b) {
  return llvm::equal(kvq::getKernelArguments(a), kvq::getKernelArguments(b),
                     [](const KernelArgument &x, const KernelArgument &y) {
                       return x.name == y.name && x.align == y.align && x.divisible == y.divisible;
                     });
}

SmallVector<CacheKernelSpec, 1> GenerateKernels::getSpecs(AttentionOp layer, CacheOpKind kind,
                                                          ArrayRef<CacheAttr> caches) {
  SmallVector<ScalesMode, 2> modes = {scales};
  if (scales == ScalesMode::Both)
    modes = {ScalesMode::Fold, ScalesMode::Argument};
  if (layer.getCalculateKvScales())
    modes = {ScalesMode::Argument};
  SmallVector<CacheKernelSpec, 1> specs;
  for (ScalesMode mode : modes)
    for (CacheAttr cache : caches) {
      CacheKernelSpec spec = getSpec(layer, kind, cache, mode);
      if (llvm::none_of(specs, [&](const auto &other) { return needTheSame(other, spec); }))
        specs.push_back(spec);
    }
  return specs;
}

LogicalResult GenerateKernels::collectScales(AttentionOp layer, CacheKernelSpec &spec,
                                             SmallVectorImpl<Attribute> &constants) {
  for (ScaleKind kind : getScaleKinds(spec)) {
    Attribute scale = layer.getResolvedScale(kind);
    bool isPerHead = !isa<FloatAttr>(scale);
    if (isPerHead && spec.scales == ScalesMode::Argument)
      return layer.emitError("expected '")
             << stringify(kind) << "_scale' to be one number where kernels take scales as "
             << "arguments, but it is one for each KV head; fold it";
    if (isPerHead && tensorParallelSize != 1)
      return layer.emitError("expected a tensor-parallel size of 1 with a ")
             << stringify(kind) << "_scale for each KV head, which differ from rank to rank, "
             << "but got " << tensorParallelSize.getValue();
    if (spec.scales == ScalesMode::Argument)
      continue;
    for (float number : getScaleNumbers(scale))
      if (!(number > 0.0f) || std::isinf(number))
        return layer.emitError("expected a positive finite ")
               << stringify(kind) << "_scale, but got " << formatFloat32(number);
    spec.perHead |= isPerHead;
    constants.push_back(scale);
  }
  return success();
}

gpu::GPUModuleOp GenerateKernels::getKernelModule() {
  constexpr StringLiteral name = "kvq_kernels";
  if (auto existing = getOperation().lookupSymbol<gpu::GPUModuleOp>(name))
    return existing;
  OpBuilder builder = OpBuilder::atBlockEnd(getOperation().getBody());
  return gpu::GPUModuleOp::create(builder, getOperation().getLoc(), name);
}

FailureOr<SymbolRefAttr> GenerateKernels::getKernel(AttentionOp layer, CacheKernelSpec spec) {
  SmallVector<Attribute> constants;
  if (failed(verifySpec([&] { return layer.emitError(); }, spec)) ||
      failed(collectScales(layer, spec, constants)))
    return failure();
  std::string name = getKernelName(spec, constants);
  gpu::GPUModuleOp module = getKernelModule();
  if (!module.lookupSymbol(name))
    createKernel(layer, name, spec);
  return SymbolRefAttr::get(module.getSymNameAttr(), {FlatSymbolRefAttr::get(&getContext(), name)});
}

LogicalResult GenerateKernels::generate(AttentionOp layer) {
  if (!layer.isResolved())
    return layer.emitError("expected resolved scales; run 'kvq-resolve-scales' first");
  SmallVector<CacheAttr, 1> caches;
  for (int64_t bytes :
       align.empty() ? ArrayRef<int64_t>(CacheAttr::usualAlign) : ArrayRef<int64_t>(*align)) {
    FailureOr<CacheAttr> cache = getCache(layer, bytes);
    if (failed(cache))
      return failure();
    caches.push_back(*cache);
  }

  SmallVector<NamedAttribute> kernels;
  for (CacheOpKind kind : kinds) {
    SmallVector<CacheKernelSpec, 1> specs = getSpecs(layer, kind, caches);
    for (const CacheKernelSpec &spec : specs) {
      FailureOr<SymbolRefAttr> symbol = getKernel(layer, spec);
      if (failed(symbol))
        return failure();
      std::string name = stringify(kind).str();
      if (std::string variant = getVariantName(specs.front(), spec); !variant.empty())
        name += "." + variant;
      kernels.emplace_back(StringAttr::get(&getContext(), name), *symbol);
    }
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

/// The attributes of the op of a kernel.
static void addAttributes(OperationState &state, OpBuilder &builder, const CacheKernelSpec &spec) {
  MLIRContext *context = builder.getContext();
  auto add = [&](StringRef name, Attribute attr) { state.addAttribute(name, attr); };
  add("source_type", TypeAttr::get(spec.sourceType));
  add("cache", spec.cache);
  ArrayRef<ArgumentRole> roles = getInfo(spec.kind).roles;
  if (llvm::is_contained(roles, ArgumentRole::OutOfRange))
    add("bounds", BoundsAttr::get(context, spec.bounds));
  if (llvm::is_contained(roles, ArgumentRole::SlotMapping)) {
    add("slot_type", SlotTypeAttr::get(context, spec.slotType));
    add("padding_slot", builder.getI64IntegerAttr(spec.paddingSlot));
  }
  if (getInfo(spec.kind).walk == Walk::Blocks)
    add("kind", CacheOpKindAttr::get(context, spec.kind));
  if (spec.heads)
    add("heads", builder.getI64IntegerAttr(spec.heads));
  if (!spec.constants.empty())
    add("constants", builder.getDenseF32ArrayAttr(spec.constants));
}

/// Leaves a copy of `layer` in the module of a kernel that reads its scales.
static void copyLayer(AttentionOp layer, gpu::GPUModuleOp module) {
  if (module.lookupSymbol(layer.getSymName()))
    return;
  auto isKernel = [](Operation &op) { return isa<gpu::GPUFuncOp>(op); };
  OpBuilder builder(module.getContext());
  builder.setInsertionPoint(module.getBody(), llvm::find_if(*module.getBody(), isKernel));
  auto copy = cast<AttentionOp>(builder.clone(*layer));
  copy.removeKernelsAttr();
  copy.removeWarningsAttr();
  copy.removeNotesAttr();
}

void GenerateKernels::createKernel(AttentionOp layer, StringRef name, const CacheKernelSpec &spec) {
  gpu::GPUModuleOp module = getKernelModule();
  ImplicitLocOpBuilder builder(layer.getLoc(), module.getBody(), module.getBody()->end());
  bool isHost = spec.chip->backend == Backend::Host;
  Type pointer = LLVM::LLVMPointerType::get(&getContext(), isHost ? 0 : kGlobalMemory);
  SmallVector<KernelArgument> arguments = kvq::getKernelArguments(spec);

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
    kernel.setKnownBlockSizeAttr(
        builder.getDenseI32ArrayAttr({int32_t(kvq::getThreadMapping(spec).blockSize), 1, 1}));

  builder.setInsertionPointToStart(&kernel.getBody().front());
  // The operands are the arguments in order; only of a scale the op takes the
  // value and not the pointer.
  ArrayRef<ArgumentRole> roles = getInfo(spec.kind).roles;
  SmallVector<Value> operands;
  SmallVector<int32_t> segments(roles.size(), 0);
  auto addOperand = [&](ArgumentRole role, Value operand) {
    operands.push_back(operand);
    ++segments[llvm::find(roles, role) - roles.begin()];
  };
  for (auto [argument, value] : llvm::zip_equal(arguments, kernel.getArguments())) {
    bool isScale =
        argument.role == ArgumentRole::Scales || argument.role == ArgumentRole::FromScales;
    addOperand(argument.role, isScale ? Value(LLVM::LoadOp::create(builder, builder.getF32Type(),
                                                                   value, argument.align))
                                      : Value(value));
  }
  if (spec.scales == ScalesMode::Fold) {
    for (ScaleKind kind : getScaleKinds(spec)) {
      copyLayer(layer, module);
      addOperand(ArgumentRole::Scales,
                 ScaleOp::create(builder, getScaleType(layer.getResolvedScale(kind)),
                                 FlatSymbolRefAttr::get(layer.getSymNameAttr()),
                                 ScaleKindAttr::get(&getContext(), kind)));
    }
  }

  OperationState state(builder.getLoc(), getInfo(spec.kind).opName);
  state.addOperands(operands);
  state.addAttribute("operandSegmentSizes", builder.getDenseI32ArrayAttr(segments));
  addAttributes(state, builder, spec);
  builder.OpBuilder::create(state);
  gpu::ReturnOp::create(builder);
}
