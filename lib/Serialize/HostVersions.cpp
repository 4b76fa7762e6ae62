//===- HostVersions.cpp - Wider vectors where the CPU has them ------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HostVersions.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/Module.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include "llvm/Transforms/Utils/ModuleUtils.h"

using namespace llvm;

namespace {

/// Runs `instruction`, whose results and arguments are 32-bit registers.
Value *runInstruction(IRBuilder<> &builder, StringRef instruction, StringRef constraints,
                      unsigned numResults, ArrayRef<Value *> arguments) {
  Type *i32 = builder.getInt32Ty();
  SmallVector<Type *> results(numResults, i32), parameters(arguments.size(), i32);
  auto *type = FunctionType::get(StructType::get(builder.getContext(), results), parameters,
                                 /*isVarArg=*/false);
  auto *assembly = InlineAsm::get(type, instruction, constraints, /*hasSideEffects=*/true);
  return builder.CreateCall(type, assembly, arguments);
}

/// Whether all bits of `mask` are set in `value`.
Value *hasBits(IRBuilder<> &builder, Value *value, uint32_t mask) {
  Value *bits = builder.getInt32(mask);
  return builder.CreateICmpEQ(builder.CreateAnd(value, bits), bits);
}

/// The constructor that writes `flag`: the CPU has AVX-512 F, DQ, CD, BW and VL,
/// and the system saves their registers.
Function *createDetection(Module &module, GlobalVariable *flag) {
  LLVMContext &context = module.getContext();
  auto *detect = Function::Create(FunctionType::get(Type::getVoidTy(context), false),
                                  GlobalValue::InternalLinkage, "kvq_detect", module);
  auto *start = BasicBlock::Create(context, "start", detect);
  auto *wide = BasicBlock::Create(context, "wide", detect);
  auto *done = BasicBlock::Create(context, "done", detect);
  IRBuilder<> builder(start);
  auto cpuid = [&](uint32_t leaf) {
    return runInstruction(builder, "cpuid", "={ax},={bx},={cx},={dx},{ax},{cx}", 4,
                          {builder.getInt32(leaf), builder.getInt32(0)});
  };
  constexpr uint32_t extendedFeatures = 7;
  Value *hasLeaf = builder.CreateICmpUGE(builder.CreateExtractValue(cpuid(0), 0),
                                         builder.getInt32(extendedFeatures));
  Value *savesState = hasBits(builder, builder.CreateExtractValue(cpuid(1), 2), 1u << 27);
  builder.CreateCondBr(builder.CreateAnd(hasLeaf, savesState), wide, done);

  builder.SetInsertPoint(wide);
  constexpr uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
  Value *hasAvx512 =
      hasBits(builder, builder.CreateExtractValue(cpuid(extendedFeatures), 1), avx512);
  Value *saved = builder.CreateExtractValue(
      runInstruction(builder, "xgetbv", "={ax},={dx},{cx}", 2, {builder.getInt32(0)}), 0);
  // SSE, AVX and the three parts of AVX-512's state.
  Value *isSaved = hasBits(builder, saved, 0xe6);
  builder.CreateStore(
      builder.CreateZExt(builder.CreateAnd(hasAvx512, isSaved), builder.getInt8Ty()), flag);
  builder.CreateBr(done);
  IRBuilder<>(done).CreateRetVoid();
  return detect;
}

/// Renames `kernel` to the baseline, clones it for AVX-512, and puts a function
/// of the old name before the two.
void addWiderVersion(Function &kernel, GlobalVariable *flag) {
  std::string name = kernel.getName().str();
  kernel.setName(name + ".baseline");
  auto *entry =
      Function::Create(kernel.getFunctionType(), kernel.getLinkage(), name, kernel.getParent());
  kernel.setLinkage(GlobalValue::InternalLinkage);
  ValueToValueMapTy map;
  Function *wide = CloneFunction(&kernel, map);
  wide->setName(name + ".wide");
  wide->addFnAttr("target-cpu", "x86-64-v4");
  wide->addFnAttr("prefer-vector-width", "512");
  wide->addFnAttr("min-legal-vector-width", "512");
  for (Function *version : {&kernel, wide})
    version->addFnAttr(Attribute::NoInline);

  LLVMContext &context = kernel.getContext();
  auto *choose = BasicBlock::Create(context, "choose", entry);
  IRBuilder<> builder(choose);
  Value *isWide = builder.CreateIsNotNull(builder.CreateLoad(builder.getInt8Ty(), flag));
  SmallVector<Value *> arguments;
  for (Argument &argument : entry->args())
    arguments.push_back(&argument);
  auto callIn = [&](StringRef label, Function *version) {
    auto *block = BasicBlock::Create(context, label, entry);
    IRBuilder<> builder(block);
    builder.CreateCall(version, arguments)->setTailCall();
    builder.CreateRetVoid();
    return block;
  };
  builder.CreateCondBr(isWide, callIn("wide", wide), callIn("baseline", &kernel));
}

} // namespace

/// The byte that says whether the CPU has the wider vectors: declared, or with
/// an initial value defined.
static GlobalVariable *addFlag(Module &module, Constant *value) {
  auto *flag = new GlobalVariable(module, Type::getInt8Ty(module.getContext()),
                                  /*isConstant=*/false, GlobalValue::ExternalLinkage, value,
                                  kvq::kWideVectorsSymbol);
  flag->setVisibility(GlobalValue::ProtectedVisibility);
  return flag;
}

void kvq::addWiderVersions(Module &module, const StringSet<> &kernels) {
  if (!module.getTargetTriple().isX86_64())
    return;
  SmallVector<Function *> found;
  for (Function &function : module)
    if (kernels.contains(function.getName()) && function.getReturnType()->isVoidTy())
      found.push_back(&function);
  GlobalVariable *flag = addFlag(module, /*value=*/nullptr);
  for (Function *function : found)
    addWiderVersion(*function, flag);
}

void kvq::addDetection(Module &module) {
  GlobalVariable *flag = addFlag(module, ConstantInt::get(Type::getInt8Ty(module.getContext()), 0));
  appendToGlobalCtors(module, createDetection(module, flag), /*Priority=*/65535);
}
