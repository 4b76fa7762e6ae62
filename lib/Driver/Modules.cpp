//===- Modules.cpp - The compiler's stages on modules in memory -----------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Modules.h"
#include "kvq/Dialect/Kvq.h"
#include "kvq/Driver/Diagnostics.h"
#include "kvq/Pipelines/Pipelines.h"
#include "kvq/Serialize/Serializer.h"
#include "kvq/Support/Quote.h"
#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/Support/MemoryBufferRef.h"
#include <mutex>

using namespace mlir;
using namespace kvq;

/// How deep brackets of a module may be nested.
static constexpr unsigned maxDepth = 500;

/// The depth of the brackets in a module's text, strings and comments left out.
static unsigned bracketDepth(StringRef text) {
  unsigned depth = 0, deepest = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i)
        i += text[i] == '\\';
    } else if (text.substr(i, 2) == "//") {
      i = std::min(text.find('\n', i), text.size());
    } else if (text.substr(i, 2) == "->") {
      ++i;
    } else if (StringRef("([{<").contains(c)) {
      deepest = std::max(deepest, ++depth);
    } else if (depth && StringRef(")]}>").contains(c)) {
      --depth;
    }
  }
  return deepest;
}

llvm::Error kvq::checkDepth(StringRef text, StringRef file) {
  if (bracketDepth(text) <= maxDepth)
    return llvm::Error::success();
  return fileError(file, "expected brackets at most " + Twine(maxDepth) + " deep");
}

/// What places in a module that has no file are called.
static constexpr StringLiteral kSourceName = "<module>";

static const DialectRegistry &getRegistry() {
  static const DialectRegistry registry = [] {
    DialectRegistry registry;
    registerDialects(registry);
    registerSerializationDialects(registry);
    return registry;
  }();
  return registry;
}

static void registerPassesOnce() {
  static std::once_flag once;
  std::call_once(once, registerPasses);
}

namespace {

/// A module in a context of its own.
class LoadedModule {
public:
  LoadedModule() : context(getRegistry(), MLIRContext::Threading::DISABLED), diagnostics(context) {}

  llvm::Error load(StringRef source);
  llvm::Error run(StringRef pipeline);
  llvm::Expected<std::string> write(ModuleForm form);
  llvm::Expected<std::string> translate(StringRef kind, StringRef chip);

private:
  llvm::Expected<const ChipInfo *> getChip(StringRef name);
  llvm::Expected<Operation *> getKernels(const ChipInfo &chip);

  MLIRContext context;
  DiagnosticCollector diagnostics;
  OwningOpRef<ModuleOp> module;
};

} // namespace

llvm::Error LoadedModule::load(StringRef source) {
  bool isText = !isBytecode(llvm::MemoryBufferRef(source, kSourceName));
  if (isText)
    if (llvm::Error error = checkDepth(source, kSourceName))
      return error;
  module = parseSourceString<ModuleOp>(source, ParserConfig(&context), kSourceName);
  if (!module)
    return diagnostics.takeError({}, kSourceName + ": expected a module");
  return llvm::Error::success();
}

/// What MLIR says of a wrong pipeline, without its way of drawing the place.
static llvm::Error pipelineError(StringRef message) {
  StringRef line = message.trim().split('\n').first;
  size_t start = line.find("error: ");
  if (start != StringRef::npos)
    line = line.drop_front(start + strlen("error: "));
  return llvm::createStringError("the pipeline is wrong: " + escapeText(line));
}

llvm::Error LoadedModule::run(StringRef pipeline) {
  pipeline = pipeline.trim();
  StringRef inner = pipeline;
  if (inner.consume_front("builtin.module(") && inner.consume_back(")"))
    pipeline = inner;
  if (pipeline.empty())
    return llvm::Error::success();
  registerPassesOnce();
  PassManager manager(&context, ModuleOp::getOperationName());
  std::string message;
  llvm::raw_string_ostream os(message);
  if (failed(parsePassPipeline(pipeline, manager, os))) {
    if (message.empty())
      return diagnostics.takeError(*module, "the pipeline is wrong");
    return pipelineError(message);
  }
  if (failed(manager.run(*module)))
    return diagnostics.takeError(*module, "the passes failed on the module");
  return llvm::Error::success();
}

llvm::Expected<std::string> LoadedModule::write(ModuleForm form) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (form == ModuleForm::Text) {
    module->print(os);
    os << '\n';
  } else if (failed(writeBytecodeToFile(*module, os))) {
    return diagnostics.takeError(*module, "cannot write the module as bytecode");
  }
  return text;
}

llvm::Expected<const ChipInfo *> LoadedModule::getChip(StringRef name) {
  if (!name.empty())
    return lookUpChip(name);
  if (auto target = (*module)->getAttrOfType<TargetAttr>(KvqDialect::kTargetAttrName))
    return &target.getChipInfo();
  return llvm::createStringError("expected a chip, or a module that has a target");
}

llvm::Expected<Operation *> LoadedModule::getKernels(const ChipInfo &chip) {
  if (chip.backend == Backend::Host)
    return module->getOperation();
  auto kernels = module->getOps<gpu::GPUModuleOp>();
  size_t count = llvm::range_size(kernels);
  if (count != 1)
    return moduleError(*module, "expected one 'gpu.module' for '" + chip.name + "', but got " +
                                    Twine(count));
  return (*kernels.begin()).getOperation();
}

template <typename Bytes> static llvm::Expected<std::string> toString(llvm::Expected<Bytes> bytes) {
  if (!bytes)
    return bytes.takeError();
  return std::string(bytes->begin(), bytes->end());
}

llvm::Expected<std::string> LoadedModule::translate(StringRef kind, StringRef chipName) {
  llvm::Expected<const ChipInfo *> found = getChip(chipName);
  if (!found)
    return found.takeError();
  const ChipInfo &chip = **found;
  auto isKindOf = [&](StringRef name, Backend backend) {
    return kind == name && chip.backend == backend;
  };
  llvm::Expected<Operation *> kernels = getKernels(chip);
  if (!kernels)
    return kernels.takeError();
  if (kind == "llvm-ir")
    return toLLVMIR(*kernels, chip);
  if (kind == "assembly")
    return toAssembly(*kernels, chip);
  if (isKindOf("hsaco", Backend::ROCDL))
    return toString(toHSACO(*kernels, chip));
  if (isKindOf("shared_object", Backend::Host))
    return toString(toSharedObject(*kernels, chip));
  if (isKindOf("ptx", Backend::NVVM) || isKindOf("cubin", Backend::NVVM)) {
    llvm::Expected<std::string> ptx = toPTX(*kernels, chip);
    if (!ptx || kind == "ptx")
      return ptx;
    return toString(assemblePTX(*ptx, chip));
  }
  StringRef own = chip.backend == Backend::NVVM    ? "'ptx', 'cubin'"
                  : chip.backend == Backend::ROCDL ? "'hsaco'"
                                                   : "'shared_object'";
  return llvm::createStringError("expected the kind of code for '" + chip.name +
                                 "' to be one of 'llvm-ir', 'assembly', " + own + ", but got " +
                                 quoteName(kind));
}

llvm::Expected<std::string> kvq::runPasses(StringRef source, StringRef pipeline, ModuleForm form) {
  LoadedModule module;
  if (llvm::Error error = module.load(source))
    return error;
  if (llvm::Error error = module.run(pipeline))
    return error;
  return module.write(form);
}

llvm::Expected<std::string> kvq::translateModule(StringRef source, StringRef kind, StringRef chip) {
  LoadedModule module;
  if (llvm::Error error = module.load(source))
    return error;
  return module.translate(kind, chip);
}
