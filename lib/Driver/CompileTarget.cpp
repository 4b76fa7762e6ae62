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
#include "mlir/Pass/PassManager.h"

using namespace mlir;
using namespace kvq;

/// The options of the passes for one of the targets.
static KernelOptions optionsFor(const Target &target, KernelOptions options) {
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

namespace {

/// The compilation of a module for one target, stage by stage.
class TargetCompiler {
public:
  TargetCompiler(const CompileOptions &options, const Target &target, ModuleOp module,
                 DiagnosticCollector &diagnostics, Progress &progress)
      : target(target), module(module), diagnostics(diagnostics), progress(progress),
        kernelOptions(optionsFor(target, options.kernels)) {}

  llvm::Error compile();

  CompiledTarget result;

private:
  /// Runs the passes that `build` adds.
  llvm::Error run(llvm::function_ref<void(OpPassManager &)> build);

  llvm::Error collectLayers();
  llvm::Error serialize();
  void addFile(StringRef kind, StringRef extension, StringRef contents);
  llvm::Error atTarget(llvm::Error error);

  const Target &target;
  ModuleOp module;
  DiagnosticCollector &diagnostics;
  Progress &progress;
  KernelOptions kernelOptions;
};

} // namespace

llvm::Error TargetCompiler::run(llvm::function_ref<void(OpPassManager &)> build) {
  PassManager manager(module.getContext());
  build(manager);
  if (failed(manager.run(module)))
    return diagnostics.takeError(module, target.chip->name + ": cannot compile the module");
  return llvm::Error::success();
}

/// What folding would erase: the layers and the kernels that they launch.
llvm::Error TargetCompiler::collectLayers() {
  for (AttentionOp op : getSortedLayers(module)) {
    ManifestLayerTarget layer;
    layer.target = target.chip->name.str();
    for (ScaleKind kind : allValues<ScaleKind>()) {
      float scale = op.getResolvedScale(kind).getValue().convertToFloat();
      if (!(scale > 0) || std::isinf(scale))
        return layerError(op, "expected a positive finite " + stringify(kind) +
                                  "_scale after resolution, but got " + formatFloat32(scale));
      layer.scales[unsigned(kind)] = scale;
    }
    layer.calculateKVScales = op.getCalculateKvScales();
    layer.warnings = getTexts(op.getWarningsAttr());
    layer.notes = getTexts(op.getNotesAttr());
    result.layers.push_back(std::move(layer));
  }
  return llvm::Error::success();
}

/// The kernels that generation gave each layer, operations in their usual order.
static void collectKernelsOfLayers(ModuleOp module, std::vector<ManifestLayerTarget> &layers) {
  for (auto [op, layer] : llvm::zip_equal(getSortedLayers(module), layers)) {
    DictionaryAttr kernels = op.getKernelsAttr();
    for (CacheOpKind kind : allValues<CacheOpKind>())
      if (auto symbol = kernels ? kernels.getAs<SymbolRefAttr>(stringify(kind)) : SymbolRefAttr())
        layer.kernels.emplace_back(stringify(kind).str(), symbol.getLeafReference().str());
  }
}

void TargetCompiler::addFile(StringRef kind, StringRef extension, StringRef contents) {
  std::string name = (target.chip->name + "." + extension).str();
  result.target.files.emplace_back(kind.str(), name);
  result.files.push_back({name, contents.str()});
}

llvm::Error TargetCompiler::atTarget(llvm::Error error) {
  return llvm::createStringError(target.chip->name + ": " + llvm::toString(std::move(error)));
}

static StringRef bytes(const CodeObject &object) { return {object.data(), object.size()}; }

llvm::Error TargetCompiler::serialize() {
  const ChipInfo &chip = *target.chip;
  if (chip.backend == Backend::Host) {
    llvm::Expected<CodeObject> object = toSharedObject(module, chip);
    if (!object)
      return atTarget(object.takeError());
    addFile("shared_object", "so", bytes(*object));
    return llvm::Error::success();
  }
  auto kernels = *module.getOps<gpu::GPUModuleOp>().begin();
  if (chip.backend == Backend::ROCDL) {
    llvm::Expected<CodeObject> object = toHSACO(kernels, chip);
    if (!object)
      return atTarget(object.takeError());
    addFile("hsaco", "hsaco", bytes(*object));
    return llvm::Error::success();
  }
  llvm::Expected<std::string> ptx = toPTX(kernels, chip);
  if (!ptx)
    return atTarget(ptx.takeError());
  addFile("ptx", "ptx", *ptx);
  llvm::Expected<CodeObject> object = assemblePTX(*ptx, chip);
  if (object) {
    addFile("cubin", "cubin", bytes(*object));
    return llvm::Error::success();
  }
  llvm::Error error = object.takeError();
  if (!isNoAssembler(error))
    return atTarget(std::move(error));
  llvm::consumeError(std::move(error));
  result.warnings.push_back("no assembler for PTX was found (nvJitLink or ptxas); the target has "
                            "PTX, which the driver compiles when it is loaded");
  return llvm::Error::success();
}

llvm::Error TargetCompiler::compile() {
  StringRef name = target.chip->name;
  result.target.target = name.str();
  result.target.backend = stringify(target.chip->backend).str();
  result.target.fnuz = target.fnuz;
  result.target.cacheType = describeCacheType(module, target);
  if (llvm::Error error =
          run([&](OpPassManager &manager) { buildResolvePipeline(manager, kernelOptions); }))
    return error;
  if (llvm::Error error = collectLayers())
    return error;
  if (llvm::Error error =
          run([&](OpPassManager &manager) { buildGeneratePipeline(manager, kernelOptions); }))
    return error;
  collectKernelsOfLayers(module, result.layers);
  auto kernels = module.getOps<gpu::GPUModuleOp>();
  size_t count = 0;
  for (gpu::GPUModuleOp op : kernels)
    count += llvm::range_size(op.getOps<gpu::GPUFuncOp>());
  progress.begin(name, count);
  if (llvm::Error error = run([&](OpPassManager &manager) { buildFoldPipeline(manager); }))
    return error;
  for (gpu::GPUModuleOp op : kernels)
    for (auto kernel : op.getOps<gpu::GPUFuncOp>())
      result.kernels.push_back(describeKernel(kernel, *target.chip));
  if (llvm::Error error = run(
          [&](OpPassManager &manager) { buildLowerPipeline(manager, target.chip->backend, name); }))
    return error;
  if (llvm::Error error = serialize())
    return error;
  progress.finish(name, count);
  return llvm::Error::success();
}

llvm::Expected<CompiledTarget> kvq::compileTarget(const Input &input, const CompileOptions &options,
                                                  const Target &target,
                                                  const DialectRegistry &registry,
                                                  Progress &progress) {
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  llvm::Expected<OwningOpRef<ModuleOp>> module = input.load(context);
  if (!module)
    return module.takeError();
  DiagnosticCollector diagnostics(context);
  TargetCompiler compiler(options, target, **module, diagnostics, progress);
  if (llvm::Error error = compiler.compile())
    return error;
  return std::move(compiler.result);
}
