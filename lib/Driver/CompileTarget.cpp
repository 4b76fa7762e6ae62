//===- CompileTarget.cpp - One target of a compilation --------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CompileTarget.h"
#include "KernelManifest.h"
#include "Layers.h"
#include "kvq/Driver/Diagnostics.h"
#include "kvq/Import/ImportCheckpoint.h"
#include "kvq/Passes.h"
#include "kvq/Pipelines/Pipelines.h"
#include "kvq/Serialize/Serializer.h"
#include "kvq/Support/Float32Text.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include <limits>

using namespace mlir;
using namespace kvq;

KernelOptions kvq::optionsFor(const Target &target, KernelOptions options) {
  options.chip = target.chip->name.str();
  options.fnuz = target.fnuz && !target.chip->fnuz;
  return options;
}

/// A path as the text of a pipeline takes it: in quotes where it has a character
/// that would end it.
static std::string quotePath(StringRef path) {
  if (path.find_first_of(" ,(){}'\"=") == StringRef::npos)
    return path.str();
  char quote = path.contains('"') ? '\'' : '"';
  return quote + path.str() + quote;
}

void kvq::buildTargetPipeline(OpPassManager &manager, const CompileOptions &options,
                              const Target &target, bool isModule) {
  if (!isModule) {
    LoadScalesPassOptions load;
    load.checkpoint = quotePath(options.input.path);
    load.config = quotePath(options.input.configFile);
    if (options.input.sourceType)
      load.sourceType = stringify(*options.input.sourceType).str();
    load.kvCacheDtype = options.input.dtype.value_or(KVCacheDtype::Fp8);
    load.calculateKVScales = options.input.calculateKVScales;
    manager.addPass(createLoadScalesPass(load));
  }
  KernelOptions kernels = optionsFor(target, options.kernels);
  buildResolvePipeline(manager, kernels);
  buildGeneratePipeline(manager, kernels);
  buildFoldPipeline(manager);
  buildLowerPipeline(manager, target.chip->backend, target.chip->name);
}

/// Runs the passes that `build` adds on `module`.
static llvm::Error run(ModuleOp module, const Target &target, DiagnosticCollector &diagnostics,
                       llvm::function_ref<void(OpPassManager &)> build) {
  PassManager manager(module.getContext());
  build(manager);
  if (failed(manager.run(module)))
    return diagnostics.takeError(module, target.chip->name + ": cannot compile the module");
  return llvm::Error::success();
}

/// What folding would erase: the layers.
static llvm::Expected<std::vector<ManifestLayerTarget>> collectLayers(ModuleOp module,
                                                                      const Target &target) {
  std::vector<ManifestLayerTarget> layers;
  for (AttentionOp op : getSortedLayers(module)) {
    ManifestLayerTarget layer;
    layer.target = target.chip->name.str();
    for (ScaleKind kind : allValues<ScaleKind>()) {
      Attribute resolved = op.getResolvedScale(kind);
      SmallVector<float> numbers = getScaleNumbers(resolved);
      for (float scale : numbers)
        if (!(scale > 0) || std::isinf(scale))
          return layerError(op, "expected a positive finite " + stringify(kind) +
                                    "_scale after resolution, but got " + formatFloat32(scale));
      layer.scales[unsigned(kind)] = numbers.front();
      if (isa<FloatAttr>(resolved))
        continue;
      layer.scales[unsigned(kind)] = std::numeric_limits<float>::quiet_NaN();
      layer.headScales[unsigned(kind)].assign(numbers.begin(), numbers.end());
    }
    layer.calculateKVScales = op.getCalculateKvScales();
    layer.warnings = getTexts(op.getWarningsAttr());
    layer.notes = getTexts(op.getNotesAttr());
    layers.push_back(std::move(layer));
  }
  return layers;
}

/// The kernels that generation gave each layer, operations in their usual order.
static void collectKernelsOfLayers(ModuleOp module, std::vector<ManifestLayerTarget> &layers) {
  for (auto [op, layer] : llvm::zip_equal(getSortedLayers(module), layers)) {
    DictionaryAttr kernels = op.getKernelsAttr();
    for (CacheOpKind kind : allValues<CacheOpKind>())
      for (NamedAttribute entry : kernels ? kernels.getValue() : ArrayRef<NamedAttribute>()) {
        auto [op, variant] = entry.getName().getValue().split('.');
        std::string symbol = cast<SymbolRefAttr>(entry.getValue()).getLeafReference().str();
        if (op != stringify(kind))
          continue;
        if (variant.empty())
          layer.kernels.emplace_back(op.str(), symbol);
        else
          layer.variants.push_back({op.str(), variant.str(), symbol});
      }
  }
}

static void addFile(CompiledTarget &result, StringRef kind, StringRef extension,
                    StringRef contents) {
  std::string name = result.target.target + "." + extension.str();
  result.target.files.emplace_back(kind.str(), name);
  result.files.push_back({name, contents.str()});
}

llvm::Expected<GeneratedTarget> kvq::generateTarget(const Input &input,
                                                    const CompileOptions &options,
                                                    const Target &target, MLIRContext &context) {
  llvm::Expected<OwningOpRef<ModuleOp>> loaded = input.load(context);
  if (!loaded)
    return loaded.takeError();
  ModuleOp module = **loaded;
  DiagnosticCollector diagnostics(context);
  KernelOptions kernelOptions = optionsFor(target, options.kernels);
  GeneratedTarget generated;
  CompiledTarget &result = generated.result;
  result.target.target = target.chip->name.str();
  result.target.backend = stringify(target.chip->backend).str();
  result.target.fnuz = target.fnuz;
  result.target.cacheType = describeCacheType(module, target);
  if (llvm::Error error = run(module, target, diagnostics, [&](OpPassManager &manager) {
        buildResolvePipeline(manager, kernelOptions);
      }))
    return error;
  if (llvm::Error error = collectLayers(module, target).moveInto(result.layers))
    return error;
  if (options.saveTemps) {
    std::string text;
    llvm::raw_string_ostream(text) << module;
    addFile(result, "resolved_ir", "resolved.mlir", text);
  }
  if (llvm::Error error = run(module, target, diagnostics, [&](OpPassManager &manager) {
        buildGeneratePipeline(manager, kernelOptions);
      }))
    return error;
  collectKernelsOfLayers(module, result.layers);
  generated.units = splitKernels(module);
  for (const KernelUnit &unit : generated.units)
    generated.numKernels += unit.kernels.size();
  return generated;
}

/// The object of a lowered module, and its PTX.
static llvm::Error serialize(ModuleOp module, const Target &target, bool inParts,
                             CompiledUnit &unit) {
  const ChipInfo &chip = *target.chip;
  CodeObject object;
  auto keep = [&] { unit.object.assign(object.begin(), object.end()); };
  if (chip.backend == Backend::Host) {
    if (llvm::Error error = toObject(module, chip).moveInto(object))
      return error;
    keep();
    return llvm::Error::success();
  }
  auto kernels = *module.getOps<gpu::GPUModuleOp>().begin();
  if (chip.backend == Backend::ROCDL) {
    if (llvm::Error error = toObject(kernels, chip).moveInto(object))
      return error;
    keep();
    return llvm::Error::success();
  }
  if (llvm::Error error = toPTX(kernels, chip).moveInto(unit.ptx))
    return error;
  if (inParts)
    if (llvm::Error error = assemblePTXPart(unit.ptx, chip).moveInto(object))
      return error;
  keep();
  return llvm::Error::success();
}

static llvm::Error compileUnit(ModuleOp module, const Target &target, bool inParts,
                               DiagnosticCollector &diagnostics, CompiledUnit &unit) {
  if (llvm::Error error = run(module, target, diagnostics, buildFoldPipeline))
    return error;
  for (auto kernels : module.getOps<gpu::GPUModuleOp>())
    for (auto kernel : kernels.getOps<gpu::GPUFuncOp>())
      unit.kernels.push_back(describeKernel(kernel, *target.chip));
  if (llvm::Error error = run(module, target, diagnostics, [&](OpPassManager &manager) {
        buildLowerPipeline(manager, target.chip->backend, target.chip->name);
      }))
    return error;
  return serialize(module, target, inParts, unit);
}

llvm::Expected<CompiledUnit> kvq::compileUnit(const KernelUnit &unit, const Target &target,
                                              bool inParts, MLIRContext &context) {
  DiagnosticCollector diagnostics(context);
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(unit.text, &context);
  CompiledUnit compiled;
  llvm::Error error = module ? ::compileUnit(*module, target, inParts, diagnostics, compiled)
                             : diagnostics.takeError({}, "cannot read the module of a kernel");
  if (error)
    return llvm::createStringError(unit.origin + ": " + target.chip->name + ": " +
                                   llvm::toString(std::move(error)));
  return compiled;
}

static StringRef bytes(const CodeObject &object) { return {object.data(), object.size()}; }

/// Adds the PTX of all units, and a cubin if there is a way to make one.
static llvm::Error linkPTX(ArrayRef<StringRef> ptx, ArrayRef<StringRef> cubins,
                           const ChipInfo &chip, bool inParts, CompiledTarget &result) {
  llvm::Expected<std::string> joined = joinPTX(ptx);
  if (!joined)
    return joined.takeError();
  addFile(result, "ptx", "ptx", *joined);
  llvm::Expected<CodeObject> object =
      inParts ? linkCubins(cubins, chip) : assemblePTX(*joined, chip);
  if (object) {
    addFile(result, "cubin", "cubin", bytes(*object));
    return llvm::Error::success();
  }
  llvm::Error error = object.takeError();
  if (!isNoAssembler(error))
    return error;
  llvm::consumeError(std::move(error));
  result.warnings.push_back("no assembler for PTX was found (nvJitLink or ptxas); the target has "
                            "PTX, which the driver compiles when it is loaded");
  return llvm::Error::success();
}

static llvm::Error link(ArrayRef<CompiledUnit> units, const ChipInfo &chip, bool inParts,
                        CompiledTarget &result) {
  SmallVector<StringRef> objects, ptx;
  for (const CompiledUnit &unit : units) {
    objects.push_back(unit.object);
    ptx.push_back(unit.ptx);
  }
  CodeObject object;
  switch (chip.backend) {
  case Backend::NVVM:
    return linkPTX(ptx, objects, chip, inParts, result);
  case Backend::ROCDL:
    if (llvm::Error error = linkHSACO(objects).moveInto(object))
      return error;
    addFile(result, "hsaco", "hsaco", bytes(object));
    return llvm::Error::success();
  case Backend::Host:
    break;
  }
  if (llvm::Error error = linkSharedObject(objects, chip).moveInto(object))
    return error;
  addFile(result, "shared_object", "so", bytes(object));
  return llvm::Error::success();
}

llvm::Expected<CompiledTarget> kvq::linkTarget(GeneratedTarget generated,
                                               std::vector<CompiledUnit> compiled,
                                               const Target &target, bool inParts) {
  CompiledTarget &result = generated.result;
  if (llvm::Error error = link(compiled, *target.chip, inParts, result))
    return llvm::createStringError(target.chip->name + ": " + llvm::toString(std::move(error)));
  // The manifest has them in the order in which they were generated.
  result.kernels.resize(generated.numKernels);
  for (auto [unit, code] : llvm::zip_equal(generated.units, compiled))
    for (auto [index, kernel] : llvm::zip_equal(unit.kernels, code.kernels))
      result.kernels[index] = std::move(kernel);
  return std::move(result);
}
