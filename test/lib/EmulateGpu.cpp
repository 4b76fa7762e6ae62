//===- EmulateGpu.cpp - Kernels of GPUs run on this machine ---------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel K becomes a function K_thread of the same arguments, the thread's
// number, the block's and the grid's size, and a function K of the same arguments
// and an i64, the grid's size, which calls K_thread for every thread of every
// block. Conversions become calls through a table of functions that follow the
// ISA manuals (IsaReference.cpp); `kvq_bind_isa` takes the table. Any other
// operation of a GPU's dialect is an error.
//
//===----------------------------------------------------------------------===//

#include "TestPasses.h"
#include "kvq/Dialect/Kvq.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace {

/// Places in the table of reference functions.
enum class Isa : int64_t {
#define KVQ_ISA(name) name,
#include "IsaReference.def"
};

constexpr StringLiteral kTableName = "kvq_isa_table";

struct EmulateGpu : PassWrapper<EmulateGpu, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(EmulateGpu)

  StringRef getArgument() const override { return "kvq-test-emulate-gpu"; }
  StringRef getDescription() const override {
    return "Makes functions of this machine out of kernels in the NVVM or ROCDL dialect";
  }

  void runOnOperation() override;

private:
  /// The numbers that a thread knows.
  struct Place {
    Value thread, block, grid;
    int64_t blockSize;
  };

  void createTable();
  LogicalResult emulate(LLVM::LLVMFuncOp kernel);
  void createGridLoop(LLVM::LLVMFuncOp thread, StringRef name, int64_t blockSize);

  /// Replaces an operation of a GPU's dialect, or a conversion to bf16.
  LogicalResult replace(Operation *op, const Place &place);
  LogicalResult replaceConversion(Operation *op);
  LogicalResult replaceEight(Operation *op);
  /// Calls `function` for each element of an operation on scalars or vectors.
  void replaceElements(Operation *op, Isa function);

  /// The result of type `type` of reference function `function`.
  Value call(ImplicitLocOpBuilder &builder, Isa function, ValueRange operands, Type type,
             bool select = false);

  bool fnuz = false;
};

} // namespace

void EmulateGpu::runOnOperation() {
  ModuleOp module = getOperation();
  kvq::TargetAttr target = kvq::getTarget(module);
  if (!target) {
    module.emitError("expected a module with a target");
    return signalPassFailure();
  }
  fnuz = target.getFnuz();
  createTable();
  for (auto kernels : llvm::make_early_inc_range(module.getOps<gpu::GPUModuleOp>())) {
    for (Operation &op : llvm::make_early_inc_range(*kernels.getBody())) {
      if (auto table = dyn_cast<LLVM::GlobalOp>(op); table && table.getConstant()) {
        table->moveBefore(module.getBody(), module.getBody()->begin());
        table.setAddrSpace(0);
        continue;
      }
      auto kernel = dyn_cast<LLVM::LLVMFuncOp>(op);
      if (!kernel) {
        op.emitError("expected nothing but functions and constants in a module of kernels");
        return signalPassFailure();
      }
      kernel->moveBefore(module.getBody(), module.getBody()->end());
      if (failed(emulate(kernel)))
        return signalPassFailure();
    }
    kernels.erase();
  }
  module->removeAttr(kvq::KvqDialect::kTargetAttrName);

  // All memory is one here.
  AttrTypeReplacer replacer;
  replacer.addReplacement([](LLVM::LLVMPointerType type) -> Type {
    return LLVM::LLVMPointerType::get(type.getContext());
  });
  replacer.recursivelyReplaceElementsIn(module, /*replaceAttrs=*/true, /*replaceLocs=*/false,
                                        /*replaceTypes=*/true);
}

void EmulateGpu::createTable() {
  ImplicitLocOpBuilder builder(getOperation().getLoc(), getOperation().getBody(),
                               getOperation().getBody()->begin());
  auto pointer = LLVM::LLVMPointerType::get(&getContext());
  auto table = LLVM::GlobalOp::create(builder, pointer, /*isConstant=*/false,
                                      LLVM::Linkage::Internal, kTableName, Attribute());
  builder.createBlock(&table.getInitializer());
  Value null = LLVM::ZeroOp::create(builder, pointer);
  LLVM::ReturnOp::create(builder, null);

  builder.setInsertionPointAfter(table);
  auto none = LLVM::LLVMVoidType::get(&getContext());
  auto bind = LLVM::LLVMFuncOp::create(builder, "kvq_bind_isa",
                                       LLVM::LLVMFunctionType::get(none, {pointer}));
  Block *body = bind.addEntryBlock(builder);
  builder.setInsertionPointToStart(body);
  Value place = LLVM::AddressOfOp::create(builder, pointer, kTableName);
  LLVM::StoreOp::create(builder, body->getArgument(0), place);
  LLVM::ReturnOp::create(builder, ValueRange());
}

LogicalResult EmulateGpu::emulate(LLVM::LLVMFuncOp kernel) {
  auto shape = kernel->getAttrOfType<DenseI32ArrayAttr>("gpu.known_block_size");
  if (!shape || shape.size() != 3 || shape[1] != 1 || shape[2] != 1)
    return kernel.emitError("expected a kernel with a known block size of one dimension");
  int64_t blockSize = shape[0];
  for (NamedAttribute attr : llvm::to_vector(kernel->getDiscardableAttrs()))
    kernel->removeDiscardableAttr(attr.getName());

  std::string name = kernel.getName().str();
  kernel.setName(name + "_thread");
  kernel.setVisibility(SymbolTable::Visibility::Private);
  kernel.setLinkage(LLVM::Linkage::Internal);
  Type i32 = IntegerType::get(&getContext(), 32);
  auto types = llvm::to_vector(kernel.getArgumentTypes());
  SmallVector<Attribute> attrs(types.size(), DictionaryAttr::get(&getContext()));
  if (ArrayAttr present = kernel.getArgAttrsAttr())
    attrs.assign(present.begin(), present.end());
  auto addArgument = [&]() -> Value {
    types.push_back(i32);
    attrs.push_back(DictionaryAttr::get(&getContext()));
    return kernel.getBody().addArgument(i32, kernel.getLoc());
  };
  Place place{addArgument(), addArgument(), addArgument(), blockSize};
  kernel.setFunctionType(
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(&getContext()), types));
  kernel.setArgAttrsAttr(ArrayAttr::get(&getContext(), attrs));
  WalkResult result = kernel.walk([&](Operation *op) -> WalkResult {
    return op == kernel ? WalkResult::advance() : WalkResult(replace(op, place));
  });
  if (result.wasInterrupted())
    return failure();
  createGridLoop(kernel, name, blockSize);
  return success();
}

void EmulateGpu::createGridLoop(LLVM::LLVMFuncOp thread, StringRef name, int64_t blockSize) {
  ImplicitLocOpBuilder builder(thread.getLoc(), &getContext());
  builder.setInsertionPointAfter(thread);
  Type i32 = builder.getI32Type(), i64 = builder.getI64Type();
  auto types = llvm::to_vector(thread.getArgumentTypes().drop_back(3));
  types.push_back(i64);
  auto none = LLVM::LLVMVoidType::get(&getContext());
  auto grid = LLVM::LLVMFuncOp::create(builder, name, LLVM::LLVMFunctionType::get(none, types));
  Block *entry = grid.addEntryBlock(builder);
  Block *header = builder.createBlock(&grid.getBody(), {}, {i64}, {thread.getLoc()});
  Block *body = builder.createBlock(&grid.getBody());
  Block *exit = builder.createBlock(&grid.getBody());
  auto constant = [&](int64_t value) -> Value {
    return LLVM::ConstantOp::create(builder, i64, builder.getI64IntegerAttr(value));
  };

  builder.setInsertionPointToStart(entry);
  Value size = constant(blockSize);
  Value blocks = entry->getArguments().back();
  Value threads = LLVM::MulOp::create(builder, blocks, size);
  LLVM::BrOp::create(builder, ValueRange(constant(0)), header);

  builder.setInsertionPointToStart(header);
  Value index = header->getArgument(0);
  Value isLeft = LLVM::ICmpOp::create(builder, LLVM::ICmpPredicate::slt, index, threads);
  LLVM::CondBrOp::create(builder, isLeft, body, exit);

  builder.setInsertionPointToStart(body);
  auto operands = llvm::to_vector_of<Value>(entry->getArguments().drop_back());
  operands.push_back(
      LLVM::TruncOp::create(builder, i32, LLVM::URemOp::create(builder, index, size)));
  operands.push_back(
      LLVM::TruncOp::create(builder, i32, LLVM::UDivOp::create(builder, index, size)));
  operands.push_back(LLVM::TruncOp::create(builder, i32, blocks));
  LLVM::CallOp::create(builder, thread, operands);
  Value next = LLVM::AddOp::create(builder, index, constant(1));
  LLVM::BrOp::create(builder, ValueRange(next), header);

  builder.setInsertionPointToStart(exit);
  LLVM::ReturnOp::create(builder, ValueRange());
}

LogicalResult EmulateGpu::replace(Operation *op, const Place &place) {
  if (auto truncation = dyn_cast<LLVM::FPTruncOp>(op)) {
    if (getElementTypeOrSelf(truncation.getType()).isBF16())
      replaceElements(op, Isa::cvt_rn_bf16_f32);
    return success();
  }
  if (isa<LLVM::FMulOp>(op) && getElementTypeOrSelf(op->getResult(0).getType()).isBF16()) {
    replaceElements(op, Isa::mul_bf16);
    return success();
  }
  if (isa<LLVM::LLVMDialect>(op->getDialect()))
    return success();
  StringRef name = op->getName().getStringRef();
  Value number = llvm::StringSwitch<Value>(name)
                     .Cases({"nvvm.read.ptx.sreg.tid.x", "rocdl.workitem.id.x"}, place.thread)
                     .Cases({"nvvm.read.ptx.sreg.ctaid.x", "rocdl.workgroup.id.x"}, place.block)
                     .Case("nvvm.read.ptx.sreg.nctaid.x", place.grid)
                     .Default(Value());
  if (number) {
    op->replaceAllUsesWith(ValueRange(number));
    op->erase();
    return success();
  }
  if (name == "nvvm.read.ptx.sreg.ntid.x") {
    ImplicitLocOpBuilder builder(op->getLoc(), op);
    Value size = LLVM::ConstantOp::create(builder, builder.getI32IntegerAttr(place.blockSize));
    op->replaceAllUsesWith(ValueRange(size));
    op->erase();
    return success();
  }
  return replaceConversion(op);
}

/// An attribute's text, for those whose classes are in headers that cost more
/// than this file.
static std::string spell(Operation *op, StringRef name) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (Attribute attr = op->getAttr(name))
    stream << attr;
  return text;
}

LogicalResult EmulateGpu::replaceConversion(Operation *op) {
  StringRef name = op->getName().getStringRef();
  std::optional<Isa> function;
  auto choose = [&](Isa onFnuz, Isa onOcp) { function = fnuz ? onFnuz : onOcp; };
  auto chooseByFormat = [&](StringRef attribute, Isa e4m3, Isa e5m2) {
    auto format = op->getAttrOfType<TypeAttr>(attribute);
    if (format && isa<Float8E4M3FNType>(format.getValue()))
      function = e4m3;
    else if (format && isa<Float8E5M2Type>(format.getValue()))
      function = e5m2;
  };
  bool hasRelu = op->hasAttr("relu") && spell(op, "relu") != "false";
  if (name == "nvvm.convert.f32x2.to.f8x2" && !hasRelu &&
      spell(op, "rnd") == "#nvvm.fp_rnd_mode<rn>" &&
      spell(op, "sat") == "#nvvm.sat_mode<satfinite>")
    chooseByFormat("dstTy", Isa::cvt_e4m3x2_f32, Isa::cvt_e5m2x2_f32);
  else if (name == "nvvm.convert.f16x2.to.f8x2" && !hasRelu)
    chooseByFormat("dstTy", Isa::cvt_e4m3x2_f16x2, Isa::cvt_e5m2x2_f16x2);
  else if (name == "nvvm.convert.f8x2.to.f16x2" && !hasRelu)
    chooseByFormat("srcType", Isa::cvt_f16x2_e4m3x2, Isa::cvt_f16x2_e5m2x2);
  else if (name == "rocdl.cvt.pk.fp8.f32")
    choose(Isa::v_cvt_pk_fp8_f32_fnuz, Isa::v_cvt_pk_fp8_f32_ocp);
  else if (name == "rocdl.cvt.pk.bf8.f32")
    choose(Isa::v_cvt_pk_bf8_f32_fnuz, Isa::v_cvt_pk_bf8_f32_ocp);
  else if (name == "rocdl.cvt.pk.f32.fp8")
    choose(Isa::v_cvt_pk_f32_fp8_fnuz, Isa::v_cvt_pk_f32_fp8_ocp);
  else if (name == "rocdl.cvt.pk.f32.bf8")
    choose(Isa::v_cvt_pk_f32_bf8_fnuz, Isa::v_cvt_pk_f32_bf8_ocp);
  else if (name == "rocdl.fmed3" && op->getResult(0).getType().isF32())
    function = Isa::v_med3_f32;
  else if (name == "rocdl.cvt.pkrtz")
    function = Isa::v_cvt_pkrtz_f16_f32;
  else if (!fnuz)
    function = llvm::StringSwitch<std::optional<Isa>>(name)
                   .Case("rocdl.cvt.scalef32.pk.f16.fp8", Isa::v_cvt_scalef32_pk_f16_fp8)
                   .Case("rocdl.cvt.scalef32.pk.f16.bf8", Isa::v_cvt_scalef32_pk_f16_bf8)
                   .Case("rocdl.cvt.scalef32.pk.bf16.fp8", Isa::v_cvt_scalef32_pk_bf16_fp8)
                   .Case("rocdl.cvt.scalef32.pk.bf16.bf8", Isa::v_cvt_scalef32_pk_bf16_bf8)
                   .Case("rocdl.cvt.scalef32.pk.fp8.f16", Isa::v_cvt_scalef32_pk_fp8_f16)
                   .Case("rocdl.cvt.scalef32.pk.bf8.f16", Isa::v_cvt_scalef32_pk_bf8_f16)
                   .Default(std::nullopt);
  if (!function && succeeded(replaceEight(op)))
    return success();
  if (!function)
    return op->emitError("expected only operations that can be emulated, but got '") << name << "'";

  ImplicitLocOpBuilder builder(op->getLoc(), op);
  BoolAttr select;
  for (StringRef attribute : {"wordSel", "srcLoHiSel", "dstLoHiSel"})
    if (auto found = op->getAttrOfType<BoolAttr>(attribute))
      select = found;
  Value result = call(builder, *function, op->getOperands(), op->getResult(0).getType(),
                      select && select.getValue());
  op->replaceAllUsesWith(ValueRange(result));
  op->erase();
  return success();
}

/// Conversions of eight values, two a call.
LogicalResult EmulateGpu::replaceEight(Operation *op) {
  std::optional<Isa> function =
      llvm::StringSwitch<std::optional<Isa>>(op->getName().getStringRef())
          .Case("rocdl.cvt.scale.pk8.f16.fp8", Isa::v_cvt_scale_pk8_f16_fp8)
          .Case("rocdl.cvt.scale.pk8.f16.bf8", Isa::v_cvt_scale_pk8_f16_bf8)
          .Case("rocdl.cvt.scale.pk8.bf16.fp8", Isa::v_cvt_scale_pk8_bf16_fp8)
          .Case("rocdl.cvt.scale.pk8.bf16.bf8", Isa::v_cvt_scale_pk8_bf16_bf8)
          .Case("rocdl.cvt.scalef32.pk8.fp8.f16", Isa::v_cvt_scalef32_pk8_fp8_f16)
          .Case("rocdl.cvt.scalef32.pk8.bf8.f16", Isa::v_cvt_scalef32_pk8_bf8_f16)
          .Default(std::nullopt);
  if (!function)
    return failure();
  ImplicitLocOpBuilder builder(op->getLoc(), op);
  Type i32 = builder.getI32Type(), type = op->getResult(0).getType();
  // A pair of values is a word or half a word, of the source and of the result.
  constexpr int64_t numPairs = 4;
  int64_t sourceWords = op->getOperand(0).getType() == VectorType::get({2}, i32) ? 2 : numPairs;
  Type pairType = sourceWords == 2 ? i32 : builder.getI16Type();
  Value words =
      LLVM::BitcastOp::create(builder, VectorType::get({sourceWords}, i32), op->getOperand(0));
  Value pairs = LLVM::PoisonOp::create(builder, VectorType::get({numPairs}, pairType));
  for (int64_t i : llvm::seq(numPairs)) {
    auto constant = [&](int64_t value) -> Value {
      return LLVM::ConstantOp::create(builder, builder.getI64IntegerAttr(value));
    };
    Value word =
        LLVM::ExtractElementOp::create(builder, words, constant(i * sourceWords / numPairs));
    bool select = sourceWords == 2 && i % 2 != 0;
    Value pair = call(builder, *function, {word, op->getOperand(1)}, pairType, select);
    pairs = LLVM::InsertElementOp::create(builder, pairs, pair, constant(i));
  }
  op->replaceAllUsesWith(ValueRange(LLVM::BitcastOp::create(builder, type, pairs)));
  op->erase();
  return success();
}

void EmulateGpu::replaceElements(Operation *op, Isa function) {
  ImplicitLocOpBuilder builder(op->getLoc(), op);
  Type type = op->getResult(0).getType();
  auto vector = dyn_cast<VectorType>(type);
  Value result;
  if (vector) {
    result = LLVM::PoisonOp::create(builder, vector);
    for (int64_t i : llvm::seq(vector.getNumElements())) {
      Value index = LLVM::ConstantOp::create(builder, builder.getI64IntegerAttr(i));
      SmallVector<Value> elements;
      for (Value operand : op->getOperands())
        elements.push_back(LLVM::ExtractElementOp::create(builder, operand, index));
      Value code = call(builder, function, elements, vector.getElementType());
      result = LLVM::InsertElementOp::create(builder, result, code, index);
    }
  } else {
    result = call(builder, function, op->getOperands(), type);
  }
  op->replaceAllUsesWith(ValueRange(result));
  op->erase();
}

/// The bits of a type that fits in 64.
static unsigned getWidth(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? vector.getNumElements() * vector.getElementTypeBitWidth()
                : type.getIntOrFloatBitWidth();
}

Value EmulateGpu::call(ImplicitLocOpBuilder &builder, Isa function, ValueRange operands, Type type,
                       bool select) {
  constexpr unsigned numOperands = 3;
  Type i32 = builder.getI32Type(), i64 = builder.getI64Type();
  auto pointer = LLVM::LLVMPointerType::get(&getContext());
  auto constant = [&](int32_t value) -> Value {
    return LLVM::ConstantOp::create(builder, builder.getI32IntegerAttr(value));
  };
  Value place = LLVM::AddressOfOp::create(builder, pointer, kTableName);
  Value table = LLVM::LoadOp::create(builder, pointer, place);
  Value entry = LLVM::GEPOp::create(builder, pointer, pointer, table,
                                    ArrayRef<LLVM::GEPArg>{LLVM::GEPArg(int32_t(function))});
  SmallVector<Value> arguments{LLVM::LoadOp::create(builder, pointer, entry)};
  for (Value operand : operands) {
    Type bits = builder.getIntegerType(getWidth(operand.getType()));
    Value argument = operand;
    if (argument.getType() != bits)
      argument = LLVM::BitcastOp::create(builder, bits, argument);
    if (bits != i32)
      argument = LLVM::ZExtOp::create(builder, i32, argument);
    arguments.push_back(argument);
  }
  while (arguments.size() < 1 + numOperands)
    arguments.push_back(constant(0));
  arguments.push_back(constant(select));

  auto signature = LLVM::LLVMFunctionType::get(i64, {i32, i32, i32, i32});
  Value result = LLVM::CallOp::create(builder, signature, arguments).getResult();
  Type bits = builder.getIntegerType(getWidth(type));
  if (bits != i64)
    result = LLVM::TruncOp::create(builder, bits, result);
  return type == bits ? result : Value(LLVM::BitcastOp::create(builder, type, result));
}

void kvq::test::registerEmulateGpuPass() { PassRegistration<EmulateGpu>(); }
