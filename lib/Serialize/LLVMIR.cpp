//===- LLVMIR.cpp - From the LLVM dialect to optimised LLVM IR ------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What all targets share: a check that the module is lowered, the translation,
// the target machine, LLVM's O3 pipeline and the code generator.
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"
#include "HostVersions.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/ROCDL/ROCDLToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/Transforms/IPO/Internalize.h"
#include <mutex>

using namespace kvq;

void kvq::registerSerializationDialects(mlir::DialectRegistry &registry) {
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerGPUDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  mlir::registerNVVMDialectTranslation(registry);
  mlir::registerROCDLDialectTranslation(registry);
}

namespace {

/// What the code of one backend is made of.
struct TargetTraits {
  /// The dialect of its intrinsics, and the attribute of its kernels; empty on
  /// the host, whose kernels are its public functions.
  llvm::StringRef dialect, kernelAttribute;
};

TargetTraits traitsOf(Backend backend) {
  switch (backend) {
  case Backend::NVVM:
    return {"nvvm", "nvvm.kernel"};
  case Backend::ROCDL:
    return {"rocdl", "rocdl.kernel"};
  case Backend::Host:
    break;
  }
  return {};
}

bool isFp8(mlir::Type type) {
  auto floating = mlir::dyn_cast<mlir::FloatType>(mlir::getElementTypeOrSelf(type));
  return floating && floating.getWidth() <= 8;
}

/// The FP8 type among those that `op` computes with, if there is one.
mlir::Type findFp8(mlir::Operation *op) {
  auto find = [](mlir::TypeRange types) -> mlir::Type {
    auto it = llvm::find_if(types, isFp8);
    return it == types.end() ? mlir::Type() : *it;
  };
  if (mlir::Type type = find(op->getOperandTypes()))
    return type;
  if (mlir::Type type = find(op->getResultTypes()))
    return type;
  for (mlir::Region &region : op->getRegions())
    for (mlir::Block &block : region)
      if (mlir::Type type = find(block.getArgumentTypes()))
        return type;
  return {};
}

/// Whether `name` is one of NVVM's or ROCDL's conversions of FP8.
bool isFp8Conversion(llvm::StringRef name) {
  return name.contains(".fp8") || name.contains(".bf8") || name.contains(".f8x2");
}

/// LLVM aborts on what it cannot select, and it knows no FP8 values: refuses
/// what is not lowered to the end.
llvm::Error checkLowered(mlir::Operation *module, const ChipInfo &chip) {
  TargetTraits traits = traitsOf(chip.backend);
  std::string problem;
  module->walk<mlir::WalkOrder::PreOrder>([&](mlir::Operation *op) {
    llvm::StringRef name = op->getName().getStringRef(),
                    dialect = op->getName().getDialectNamespace();
    if (op == module)
      return mlir::WalkResult::advance();
    llvm::raw_string_ostream stream(problem);
    if (mlir::Type type = findFp8(op))
      stream << "expected no FP8 value left, but found '" << type << "' in '" << name << "'";
    else if (dialect != "llvm" && (traits.dialect.empty() || dialect != traits.dialect))
      stream << "expected only operations of the LLVM"
             << (traits.dialect.empty() ? "" : " and " + traits.dialect.upper()) << " dialect for '"
             << chip.name << "', but found '" << name << "'";
    else if (isFp8Conversion(name) && !chip.nativeStore && !chip.nativeLoad)
      stream << "'" << chip.name << "' has no FP8 conversions, but found '" << name << "'";
    else
      return mlir::WalkResult::advance();
    return mlir::WalkResult::interrupt();
  });
  return problem.empty() ? llvm::Error::success() : oneLineError(problem);
}

/// Whether `module` has an access of more than 16 bytes.
bool hasWideAccess(mlir::Operation *module) {
  constexpr unsigned usualBits = 128;
  auto isWide = [](mlir::Type type) {
    auto vector = mlir::dyn_cast<mlir::VectorType>(type);
    return vector && vector.getNumElements() * vector.getElementTypeBitWidth() > usualBits;
  };
  auto result = module->walk([&](mlir::Operation *op) {
    auto load = mlir::dyn_cast<mlir::LLVM::LoadOp>(op);
    auto store = mlir::dyn_cast<mlir::LLVM::StoreOp>(op);
    return (load && isWide(load.getRes().getType())) ||
                   (store && isWide(store.getValue().getType()))
               ? mlir::WalkResult::interrupt()
               : mlir::WalkResult::advance();
  });
  return result.wasInterrupted();
}

/// The symbols that the code object exports.
llvm::Expected<llvm::StringSet<>> kernelNames(mlir::Operation *module, const ChipInfo &chip) {
  TargetTraits traits = traitsOf(chip.backend);
  llvm::StringSet<> names;
  module->walk([&](mlir::LLVM::LLVMFuncOp function) {
    bool isKernel =
        traits.kernelAttribute.empty()
            ? function.isPublic() && function.getLinkage() == mlir::LLVM::Linkage::External
            : function->hasAttr(traits.kernelAttribute) || function->hasAttr("gpu.kernel");
    if (isKernel && !function.isExternal())
      names.insert(function.getName());
  });
  if (names.empty())
    return oneLineError("expected a kernel for '" + chip.name + "', but found none");
  return names;
}

void initializeTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    // lld registers all targets when it first links; registered before, their
    // list no longer changes while other threads search it.
    llvm::InitializeAllTargetInfos();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    LLVMInitializeAMDGPUTarget();
    LLVMInitializeAMDGPUTargetMC();
    LLVMInitializeAMDGPUAsmPrinter();
    LLVMInitializeAMDGPUAsmParser();
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();
  });
}

llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createTargetMachine(const ChipInfo &chip,
                                                                         bool isWide) {
  initializeTargets();
  llvm::Triple triple;
  llvm::StringRef cpu = chip.name;
  std::string features = chip.features.str();
  if (isWide && !chip.wideFeatures.empty())
    features += "," + chip.wideFeatures.str();
  switch (chip.backend) {
  case Backend::NVVM:
    triple = llvm::Triple("nvptx64-nvidia-cuda");
    break;
  case Backend::ROCDL:
    triple = llvm::Triple("amdgcn-amd-amdhsa");
    break;
  case Backend::Host:
    triple = llvm::Triple(llvm::sys::getProcessTriple());
    // The table's baseline is x86's; on other machines it is the architecture's
    // first version, which for aarch64 is armv8-a.
    cpu = triple.getArch() == llvm::Triple::x86_64 ? chip.features : "generic";
    features = "";
    break;
  }
  std::string message;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, message);
  if (!target)
    return oneLineError("LLVM has no backend for '" + chip.name + "': " + message);
  llvm::TargetOptions options;
  options.UseInitArray = true;
  std::unique_ptr<llvm::TargetMachine> machine(
      target->createTargetMachine(triple, cpu, features, options, llvm::Reloc::PIC_, std::nullopt,
                                  llvm::CodeGenOptLevel::Aggressive));
  if (!machine)
    return oneLineError("LLVM cannot generate code for '" + chip.name + "'");
  return machine;
}

/// A module on its way through LLVM with all that it needs; members die in the
/// right order.
struct Unit {
  /// The first error that LLVM reported.
  std::string diagnostic;
  llvm::LLVMContext context;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::unique_ptr<llvm::Module> module;

  Unit() { context.setDiagnosticHandlerCallBack(&Unit::onDiagnostic, this); }

  static void onDiagnostic(const llvm::DiagnosticInfo *info, void *unit) {
    std::string &text = static_cast<Unit *>(unit)->diagnostic;
    if (info->getSeverity() != llvm::DS_Error || !text.empty())
      return;
    llvm::raw_string_ostream stream(text);
    llvm::DiagnosticPrinterRawOStream printer(stream);
    info->print(printer);
  }

  /// The error reported so far, if any.
  llvm::Error check() const {
    return diagnostic.empty() ? llvm::Error::success() : oneLineError(diagnostic);
  }
};

llvm::Error translate(mlir::Operation *module, Unit &unit) {
  std::string message;
  mlir::ScopedDiagnosticHandler handler(module->getContext(), [&](mlir::Diagnostic &diagnostic) {
    if (message.empty() && diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error)
      message = diagnostic.str();
    return mlir::success();
  });
  if (mlir::succeeded(mlir::verify(module)))
    unit.module = mlir::translateModuleToLLVMIR(module, unit.context, "kvq");
  if (unit.module && message.empty())
    return unit.check();
  return oneLineError("cannot translate to LLVM IR: " + llvm::Twine(message));
}

void optimize(Unit &unit, const ChipInfo &chip, const llvm::StringSet<> &kernels) {
  llvm::Module &module = *unit.module;
  module.setTargetTriple(unit.machine->getTargetTriple());
  module.setDataLayout(unit.machine->createDataLayout());
  if (chip.backend == Backend::ROCDL)
    module.setModuleFlag(llvm::Module::Error, "amdhsa_code_object_version", 500);
  llvm::internalizeModule(module, [&](const llvm::GlobalValue &value) {
    return value.isDeclaration() || kernels.contains(value.getName());
  });
  if (chip.backend == Backend::Host)
    addWiderVersions(module, kernels);

  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = true;
  llvm::PassBuilder builder(unit.machine.get(), tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3).run(module, modules);
}

/// Nothing but intrinsics, and on the host the C library's copies, may be left
/// for a linker to find: kvq links no device libraries.
llvm::Error checkDefined(const llvm::Module &module, const ChipInfo &chip) {
  for (const llvm::GlobalValue &value : module.global_values()) {
    auto *function = llvm::dyn_cast<llvm::Function>(&value);
    if (!value.isDeclaration() || value.use_empty() || (function && function->isIntrinsic()))
      continue;
    if (chip.backend == Backend::Host &&
        (value.getName() == kWideVectorsSymbol ||
         llvm::is_contained(hostRuntimeSymbols(), value.getName())))
      continue;
    return oneLineError("undefined symbol '" + value.getName() + "' for '" + chip.name + "'");
  }
  return llvm::Error::success();
}

} // namespace

/// Makes a module in a Unit by `make` and hands it to `use`, guarded.
static llvm::Error
withModule(const ChipInfo &chip, bool isWide, llvm::function_ref<llvm::Error(Unit &)> make,
           llvm::function_ref<llvm::Error(llvm::Module &, llvm::TargetMachine &)> use) {
  auto unit = std::make_unique<Unit>();
  bool crashed;
  llvm::Error error = runGuarded(
      [&]() -> llvm::Error {
        auto machine = createTargetMachine(chip, isWide);
        if (!machine)
          return machine.takeError();
        unit->machine = std::move(*machine);
        if (llvm::Error error = make(*unit))
          return error;
        if (llvm::Error error = use(*unit->module, *unit->machine))
          return error;
        return unit->check();
      },
      crashed);
  // What a crash left half done cannot be destroyed.
  if (crashed)
    (void)unit.release();
  return error;
}

llvm::Error kvq::withOptimizedModule(
    mlir::Operation *module, const ChipInfo &chip,
    llvm::function_ref<llvm::Error(llvm::Module &, llvm::TargetMachine &)> use) {
  if (llvm::Error error = checkLowered(module, chip))
    return error;
  llvm::Expected<llvm::StringSet<>> kernels = kernelNames(module, chip);
  if (!kernels)
    return kernels.takeError();
  auto make = [&](Unit &unit) -> llvm::Error {
    if (llvm::Error error = translate(module, unit))
      return error;
    optimize(unit, chip, *kernels);
    if (llvm::Error error = unit.check())
      return error;
    return checkDefined(*unit.module, chip);
  };
  return withModule(chip, hasWideAccess(module), make, use);
}

/// Writes `module` as an object file or assembly.
static llvm::Error emit(llvm::Module &module, llvm::TargetMachine &machine, const ChipInfo &chip,
                        llvm::CodeGenFileType type, CodeObject &code) {
  llvm::raw_svector_ostream stream(code);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, /*DwoOut=*/nullptr, type))
    return oneLineError("LLVM cannot write this kind of file for '" + chip.name + "'");
  passes.run(module);
  return llvm::Error::success();
}

llvm::Expected<CodeObject> kvq::emitCode(mlir::Operation *module, const ChipInfo &chip,
                                         llvm::CodeGenFileType type) {
  CodeObject code;
  if (llvm::Error error = withOptimizedModule(
          module, chip, [&](llvm::Module &module, llvm::TargetMachine &machine) {
            return emit(module, machine, chip, type, code);
          }))
    return error;
  return code;
}

llvm::Expected<CodeObject> kvq::emitObject(const ChipInfo &chip,
                                           llvm::function_ref<void(llvm::Module &)> build) {
  CodeObject code;
  auto make = [&](Unit &unit) {
    unit.module = std::make_unique<llvm::Module>("kvq", unit.context);
    unit.module->setTargetTriple(unit.machine->getTargetTriple());
    unit.module->setDataLayout(unit.machine->createDataLayout());
    build(*unit.module);
    return unit.check();
  };
  if (llvm::Error error = withModule(
          chip, /*isWide=*/false, make, [&](llvm::Module &module, llvm::TargetMachine &machine) {
            return emit(module, machine, chip, llvm::CodeGenFileType::ObjectFile, code);
          }))
    return error;
  return code;
}

llvm::Expected<std::string> kvq::toLLVMIR(mlir::Operation *module, const ChipInfo &chip) {
  std::string text;
  if (llvm::Error error = withOptimizedModule(
          module, chip, [&](llvm::Module &module, llvm::TargetMachine &) -> llvm::Error {
            llvm::raw_string_ostream(text) << module;
            return llvm::Error::success();
          }))
    return error;
  return text;
}

llvm::Expected<std::string> kvq::toAssembly(mlir::Operation *module, const ChipInfo &chip) {
  llvm::Expected<CodeObject> text = emitCode(module, chip, llvm::CodeGenFileType::AssemblyFile);
  if (!text)
    return text.takeError();
  return std::string(text->begin(), text->end());
}

llvm::Expected<CodeObject> kvq::toObject(mlir::Operation *module, const ChipInfo &chip) {
  return emitCode(module, chip, llvm::CodeGenFileType::ObjectFile);
}
