//===- Input.cpp - Checkpoints and modules as a user names them -----------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Input.h"
#include "Layers.h"
#include "kvq/Driver/Diagnostics.h"
#include "kvq/Driver/Modules.h"
#include "kvq/Import/ImportCheckpoint.h"
#include "kvq/Pipelines/Pipelines.h"
#include "kvq/Support/Quote.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SHA256.h"

using namespace mlir;
using namespace kvq;

llvm::Error Input::readModule() {
  if (!options.configFile.empty())
    return fileError(options.path, "expected '--config' with a checkpoint, but got a module");
  if (llvm::sys::fs::is_directory(options.path))
    return fileError(options.path, "expected a file, but got a folder");
  auto buffer = llvm::MemoryBuffer::getFile(options.path);
  if (!buffer)
    return fileError(options.path, buffer.getError().message());
  text = (*buffer)->getBuffer().str();
  if (llvm::Error error = checkDepth(text, options.path))
    return error;
  llvm::SHA256 hash;
  hash.update(StringRef(text));
  auto digest = hash.final();
  textHash = llvm::toHex(ArrayRef<uint8_t>(digest), /*LowerCase=*/true);
  return llvm::Error::success();
}

llvm::Expected<Input> Input::open(const InputOptions &options) {
  Input input(options);
  if (StringRef(options.path).ends_with(".mlir")) {
    if (llvm::Error error = input.readModule())
      return error;
    return input;
  }
  ReadOptions readOptions;
  readOptions.configFile = options.configFile;
  readOptions.tensorParallelSize = options.tensorParallelSize;
  llvm::Expected<Checkpoint> checkpoint = readCheckpoint(options.path, readOptions);
  if (!checkpoint)
    return checkpoint.takeError();
  if (checkpoint->layers.empty())
    return fileError(options.path, "expected at least one attention layer, but got none");
  input.checkpoint = std::move(*checkpoint);
  return input;
}

/// Holds the options to the attributes of a module.
llvm::Error Input::applyOptions(ModuleOp module) const {
  auto contradicts = [](AttentionOp layer, StringRef option, StringRef wanted, StringRef present) {
    return layerError(layer, "expected '--" + option + "' to agree with the module, which has '" +
                                 present + "', but got '" + wanted + "'");
  };
  for (auto layer : module.getOps<AttentionOp>()) {
    if (layer.isResolved())
      return layerError(layer, "expected unresolved scales, but this layer has been resolved");
    if (options.dtype && *options.dtype != layer.getKvCacheDtype())
      return contradicts(layer, "kv-cache-dtype", stringify(*options.dtype),
                         stringify(layer.getKvCacheDtype()));
    if (options.calculateKVScales && !layer.getCalculateKvScales())
      return layerError(layer, "expected '--calculate-kv-scales' to agree with the module, whose "
                               "layer has no 'calculate_kv_scales'");
    if (LayoutAttr order = layer.getLayoutAttr();
        options.layout && order && order.getKind() != options.layout)
      return contradicts(layer, "layout", stringify(*options.layout), order.getText());
    if (!options.sourceType)
      continue;
    Type wanted = getType(module.getContext(), *options.sourceType);
    if (std::optional<Type> present = layer.getSourceType()) {
      std::string spelling;
      llvm::raw_string_ostream(spelling) << *present;
      if (*present != wanted)
        return contradicts(layer, "source-type", stringify(*options.sourceType), spelling);
    }
    layer.setSourceType(wanted);
  }
  return llvm::Error::success();
}

llvm::Expected<OwningOpRef<ModuleOp>> Input::load(MLIRContext &context) const {
  DiagnosticCollector diagnostics(context);
  if (checkpoint) {
    OwningOpRef<ModuleOp> module =
        ModuleOp::create(FileLineColLoc::get(&context, options.path, 0, 0));
    ImportOptions importOptions;
    importOptions.dtype = options.dtype.value_or(KVCacheDtype::Fp8);
    importOptions.calculateKVScales = options.calculateKVScales;
    importOptions.sourceType = options.sourceType;
    context.loadDialect<KvqDialect>();
    importCheckpoint(*checkpoint, options.path, importOptions, *module);
    return module;
  }

  ParserConfig config(&context);
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, config, options.path);
  if (!module)
    return diagnostics.takeError({}, escapeText(options.path) + ": expected a module");
  if (module->getOps<AttentionOp>().empty())
    return fileError(options.path, "expected at least one 'kvq.attention', but got none");
  if (llvm::Error error = applyOptions(*module))
    return error;
  return module;
}

llvm::Expected<LoadedInput> LoadedInput::open(const InputOptions &options) {
  llvm::Expected<Input> input = Input::open(options);
  if (!input)
    return input.takeError();
  DialectRegistry registry;
  registerDialects(registry);
  auto context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  llvm::Expected<OwningOpRef<ModuleOp>> module = input->load(*context);
  if (!module)
    return module.takeError();
  return LoadedInput{std::move(*input), std::move(context), std::move(*module)};
}

Origin Input::getOrigin(ModuleOp module) const {
  Origin origin;
  origin.format = stringify(CheckpointFormat::Mlir).str();
  if (auto attr = module->getAttrOfType<DictionaryAttr>(KvqDialect::kCheckpointAttrName)) {
    auto read = [&](StringRef name, std::string &text) {
      if (auto value = attr.getAs<StringAttr>(name))
        text = value.str();
    };
    read("format", origin.format);
    read("model_type", origin.modelType);
    read("sha256", origin.sha256);
    origin.notes = getTexts(attr.getAs<ArrayAttr>("notes"));
    origin.unused = getTexts(attr.getAs<ArrayAttr>("unused"));
  }
  if (isModule())
    origin.sha256 = textHash;
  return origin;
}

llvm::Error Input::requireShapes(ModuleOp module) const {
  for (auto layer : module.getOps<AttentionOp>()) {
    if (!layer.getGeometry()) {
      if (checkpoint && checkpoint->geometryError)
        return llvm::createStringError(*checkpoint->geometryError);
      return layerError(layer, "expected a geometry (heads, kv_heads, head_size), but got none");
    }
    if (layer.getSourceType())
      continue;
    std::string found = checkpoint && !checkpoint->dtypeText.empty()
                            ? "the dtype " + quoteName(checkpoint->dtypeText)
                            : std::string("none");
    return layerError(layer, "expected a source type, one of " + listNames<SourceType>() +
                                 ", but got " + found + "; name one with '--source-type'");
  }
  return llvm::Error::success();
}
