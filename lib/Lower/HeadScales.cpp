//===- HeadScales.cpp - Scales that differ from head to head --------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HeadScales.h"
#include "VectorPieces.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace kvq;

/// Where a table lies. NVIDIA's constant memory has 64 KiB a module and one
/// address at a time for a warp, so there it is global memory, whose loads are
/// under way beside those of the data.
static unsigned addressSpaceOf(Backend backend) {
  constexpr unsigned globalMemory = 1, constantMemory = 4;
  switch (backend) {
  case Backend::NVVM:
    return globalMemory;
  case Backend::ROCDL:
    return constantMemory;
  case Backend::Host:
    break;
  }
  return 0;
}

/// A constant array of `values` beside the function of `op`, named by the function
/// and the content: kernels may be compiled apart, and then linked.
static LLVM::GlobalOp getTable(CodeBuilder &builder, Operation *op, ArrayRef<float> values) {
  Operation *function = op;
  while (!function->getParentOp()->hasTrait<OpTrait::SymbolTable>())
    function = function->getParentOp();
  Operation *owner = function->getParentOp();
  std::string bits, name;
  if (auto symbol = function->getAttrOfType<StringAttr>(SymbolTable::getSymbolAttrName()))
    name = symbol.str() + "_";
  for (float value : values)
    bits += llvm::utohexstr(llvm::bit_cast<uint32_t>(value), /*LowerCase=*/true, 8);
  name += "table_" + llvm::utohexstr(llvm::xxh3_64bits(bits), /*LowerCase=*/true, 16);
  if (auto present = dyn_cast_or_null<LLVM::GlobalOp>(SymbolTable::lookupSymbolIn(owner, name)))
    return present;
  auto type = RankedTensorType::get(int64_t(values.size()), builder.getF32Type());
  unsigned addressSpace =
      addressSpaceOf(getTarget(op) ? getTarget(op).getChipInfo().backend : Backend::Host);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&owner->getRegion(0).front());
  return LLVM::GlobalOp::create(
      builder, LLVM::LLVMArrayType::get(builder.getF32Type(), unsigned(values.size())),
      /*isConstant=*/true, LLVM::Linkage::Internal, name, DenseElementsAttr::get(type, values),
      /*alignment=*/2 * sizeof(float), addressSpace);
}

/// Row `row` of a table whose rows are `count` numbers, each broadcast to `type`.
static SmallVector<Value> loadRow(CodeBuilder &builder, LLVM::GlobalOp table, Value row,
                                  unsigned count, VectorType type) {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext(), table.getAddrSpace());
  Value base = LLVM::AddressOfOp::create(builder, pointer, table.getSymName());
  Value from =
      builder.address(base, builder.getF32Type(), builder.mul(builder.extend(row), int64_t(count)));
  auto rowType = VectorType::get({int64_t(count)}, builder.getF32Type());
  auto load = LLVM::LoadOp::create(builder, rowType, from, count * sizeof(float));
  load.setInvariant(true);
  SmallVector<Value> numbers;
  for (unsigned i = 0; i < count; ++i)
    numbers.push_back(vector::BroadcastOp::create(
        builder, type, vector::ExtractOp::create(builder, load, int64_t(i))));
  return numbers;
}

Value HeadScale::apply(CodeBuilder &builder, Value values, Value head, bool divides) const {
  auto type = cast<VectorType>(values.getType());
  if (!arithmetic) {
    Value index = arith::IndexCastUIOp::create(builder, builder.getIndexType(), head);
    Value scale = vector::ExtractOp::create(builder, operand, index);
    Value scales = vector::BroadcastOp::create(builder, type, scale);
    return divides ? Value(arith::DivFOp::create(builder, values, scales))
                   : Value(arith::MulFOp::create(builder, values, scales));
  }
  Method method = cast<ArithmeticAttr>(arithmetic[0]).getMethod();
  if (method == Method::None)
    return values;
  unsigned count = method == Method::TwoStep ? 2 : 1;
  SmallVector<float> numbers;
  for (auto one : arithmetic.getAsRange<ArithmeticAttr>()) {
    numbers.push_back(one.getA().convertToFloat());
    if (count == 2)
      numbers.push_back(one.getB().convertToFloat());
  }
  SmallVector<Value> constants;
  if (llvm::all_equal(arithmetic))
    for (float number : ArrayRef(numbers).take_front(count))
      constants.push_back(
          arith::ConstantOp::create(builder, DenseElementsAttr::get(type, llvm::APFloat(number))));
  else
    constants = loadRow(builder, getTable(builder, op, numbers), head, count, type);

  return scaleBy(builder, values, method, constants[0], count == 2 ? constants[1] : Value());
}
