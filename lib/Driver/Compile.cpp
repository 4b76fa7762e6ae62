//===- Compile.cpp - What kvqc compile does -------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Compile.h"
#include "CompileTargets.h"
#include "Layers.h"
#include "kvq/Artefact/Hash.h"
#include "kvq/Artefact/Header.h"
#include "kvq/Driver/Diagnostics.h"
#include "kvq/Pipelines/Pipelines.h"
#include "kvq/Serialize/Serializer.h"
#include "kvq/Support/Json.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;
using namespace kvq;

StringRef kvq::getProducer() { return "kvq " KVQ_VERSION; }

static OutputMark artefactMark() { return {kManifestFile, kManifestSchema}; }

llvm::Error kvq::checkArtefactFolder(StringRef folder) {
  return checkOutputDirectory(folder, artefactMark());
}

namespace {

/// The inputs of a compilation, and what is known of them before any target is
/// compiled.
struct Plan {
  static llvm::Expected<Plan> make(const CompileOptions &options, const DialectRegistry &registry);

  Input input;
  Origin origin;
  std::vector<Target> targets;
  /// Names and indices, in order.
  std::vector<std::pair<std::string, int64_t>> layers;
  /// The module of the layers, for the cache.
  std::string text;
};

} // namespace

llvm::Expected<Plan> Plan::make(const CompileOptions &options, const DialectRegistry &registry) {
  llvm::Expected<Input> input = Input::open(options.input);
  if (!input)
    return input.takeError();
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  llvm::Expected<OwningOpRef<ModuleOp>> loaded = input->load(context);
  if (!loaded)
    return loaded.takeError();
  ModuleOp module = **loaded;
  llvm::Expected<std::vector<Target>> targets =
      chooseTargets(module, options.targets, options.kernels.fnuz);
  if (!targets)
    return targets.takeError();
  for (Operation &op : *module.getBody())
    if (!isa<AttentionOp>(op))
      return moduleError(module, "expected a module of 'kvq.attention' alone, but it has '" +
                                     op.getName().getStringRef() +
                                     "'; kvq-opt compiles modules with more in them");
  if (llvm::Error error = input->requireShapes(module))
    return error;
  Origin origin = input->getOrigin(module);
  Plan plan{
      std::move(*input), std::move(origin), std::move(*targets), {}, printWithoutLocations(module)};
  for (AttentionOp layer : getSortedLayers(module))
    plan.layers.emplace_back(layer.getSymName().str(), layer.getIndex());
  return plan;
}

CompileOptions::CompileOptions() {
  kernels.ops = {"store", "load"};
  kernels.align = {CacheAttr::usualAlign};
}

llvm::Expected<std::vector<std::string>> kvq::describePipelines(const CompileOptions &options) {
  DialectRegistry registry;
  registerDialects(registry);
  llvm::Expected<Plan> plan = Plan::make(options, registry);
  if (!plan)
    return plan.takeError();
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  std::vector<std::string> texts;
  for (const Target &target : plan->targets) {
    PassManager manager(&context, ModuleOp::getOperationName());
    buildTargetPipeline(manager, options, target, plan->input.isModule());
    std::string text;
    llvm::raw_string_ostream os(text);
    manager.printAsTextualPipeline(os);
    texts.push_back(text);
  }
  return texts;
}

/// The manifest, with every different text of the layers and targets once.
static Manifest makeManifest(const Plan &plan, const CompileOptions &options,
                             std::vector<CompiledTarget> &compiled, TextList &warnings) {
  Manifest manifest;
  manifest.producer = getProducer().str();
  manifest.format = plan.origin.format;
  manifest.modelType = plan.origin.modelType;
  manifest.sha256 = plan.origin.sha256;
  manifest.tensorParallelSize = options.kernels.tensorParallelSize;
  TextList notes;
  for (const std::string &note : plan.origin.notes)
    notes.add("", note);
  for (auto [index, layer] : llvm::enumerate(plan.layers)) {
    ManifestLayer entry;
    std::tie(entry.name, entry.index) = layer;
    for (CompiledTarget &target : compiled) {
      for (const std::string &warning : target.layers[index].warnings)
        warnings.add(entry.name, warning);
      for (const std::string &note : target.layers[index].notes)
        notes.add(entry.name, note);
      entry.targets.push_back(std::move(target.layers[index]));
    }
    manifest.layers.push_back(std::move(entry));
  }
  for (CompiledTarget &target : compiled) {
    for (const std::string &warning : target.warnings)
      warnings.add(target.target.target, warning);
    llvm::append_range(manifest.kernels, target.kernels);
    manifest.targets.push_back(std::move(target.target));
  }
  manifest.warnings = warnings.getTexts();
  manifest.notes = notes.getTexts();
  return manifest;
}

/// The hashes of all files but the manifest, by name.
static llvm::Error addHashes(llvm::ArrayRef<OutputFile> files, Manifest &manifest) {
  for (const OutputFile &file : files) {
    Result<std::string> hash = sha256Text(file.contents);
    if (!hash)
      return toError(hash.failure());
    manifest.hashes.push_back({file.name, *hash});
  }
  llvm::sort(manifest.hashes,
             [](const ManifestHash &a, const ManifestHash &b) { return a.file < b.file; });
  return llvm::Error::success();
}

llvm::Expected<CompileReport> kvq::compile(const CompileOptions &options, StringRef folder,
                                           Progress &progress) {
  if (llvm::Error error = checkArtefactFolder(folder))
    return error;
  DialectRegistry registry;
  registerDialects(registry);
  registerSerializationDialects(registry);
  llvm::Expected<Plan> plan = Plan::make(options, registry);
  if (!plan)
    return plan.takeError();
  llvm::Expected<CompiledTargets> compiled =
      compileTargets(plan->input, plan->text, options, plan->targets, registry, progress);
  if (!compiled)
    return compiled.takeError();

  TextList warnings;
  Manifest manifest = makeManifest(*plan, options, compiled->targets, warnings);
  std::vector<OutputFile> files;
  files.push_back({kHeaderFile, toHeaderText(manifest)});
  for (CompiledTarget &target : compiled->targets)
    for (OutputFile &file : target.files)
      files.push_back(std::move(file));
  if (llvm::Error error = addHashes(files, manifest))
    return error;
  files.push_back({kManifestFile, toJsonText(manifest)});
  if (llvm::Error error = writeOutputDirectory(folder, artefactMark(), files))
    return error;
  return CompileReport{warnings.describe(), manifest.kernels.size(), compiled->kernelsBuilt};
}
