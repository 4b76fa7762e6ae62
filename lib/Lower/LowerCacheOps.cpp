//===- LowerCacheOps.cpp - Cache operations become vectors and pointers ---===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Walks the rows of an operation and the vectors of a row, by the threads of a
// GPU or by loops; what is done to a vector is CacheOpBody's.
//
//===----------------------------------------------------------------------===//

#include "CacheOpBody.h"
#include "kvq/Passes.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <limits>

namespace kvq {
#define GEN_PASS_DEF_LOWERCACHEOPSPASS
#include "kvq/Passes.h.inc"
} // namespace kvq

using namespace mlir;
using namespace kvq;

namespace {

/// Builds the code of one operation. Integers are i64 unless a name ends in 32;
/// within a thread block 32 bits hold everything.
class CacheOpLowering {
public:
  explicit CacheOpLowering(CacheOpInterface op)
      : op(op), builder(op.getLoc(), op), body(createBody(builder, op)),
        mapping(body->getMapping()) {}

  void lower() {
    bool byColumns = getInfo(op.getKind()).walk == Walk::Columns;
    if (op->getParentOfType<gpu::GPUFuncOp>())
      byColumns ? lowerColumnsToThreads() : lowerToThreads();
    else
      byColumns ? lowerColumnsToLoops() : lowerToLoops();
    op->erase();
  }

private:
  void lowerToThreads();
  void lowerToLoops();

  /// Rows of as many columns as an operand says, of which the last may be too
  /// few for a vector.
  void lowerColumnsToThreads();
  void lowerColumnsToLoops();

  Value threadId32() {
    return arith::IndexCastUIOp::create(builder, builder.getI32Type(),
                                        gpu::ThreadIdOp::create(builder, gpu::Dimension::x));
  }
  Value blockId() {
    return arith::IndexCastUIOp::create(builder, builder.getI64Type(),
                                        gpu::BlockIdOp::create(builder, gpu::Dimension::x));
  }

  /// Moves vector `index32` of a row.
  void moveVector(Value row, Value slot, Value index32);
  /// Moves the vectors at one place of the parts from `first` to before `end`.
  void moveParts(unsigned first, unsigned end, Value row, Value slot, Value index32);
  /// Where vector `index32` of a part is.
  Place placeOf(unsigned part, Value row, Value slot, Value index32);
  /// Has `body` build what is done in each part, of which vector `index32` of a row
  /// chooses one, with the vector's number there; gives what they give, of type
  /// `type` or nothing.
  using PartBody = llvm::function_ref<Value(unsigned part, Value index32)>;
  Value chooseFrom(unsigned part, Value index32, Type type, PartBody body);
  void moveColumns(Value row, Value element, Value columns);

  CacheOpInterface op;
  CodeBuilder builder;
  std::unique_ptr<CacheOpBody> body;
  const ThreadMapping &mapping;
};

} // namespace

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

Place CacheOpLowering::placeOf(unsigned part, Value row, Value slot, Value index32) {
  const MovedPart &moved = mapping.parts[part];
  int64_t perHead = moved.headSize / moved.width;
  return {row, slot, builder.div(index32, perHead),
          builder.mul(builder.rem(index32, perHead), moved.width)};
}

void CacheOpLowering::moveParts(unsigned first, unsigned end, Value row, Value slot,
                                Value index32) {
  Place place = placeOf(first, row, slot, index32);
  // All loads come before the first store, so that they are under way together.
  SmallVector<Value> vectors;
  for (unsigned i = first; i < end; ++i)
    vectors.push_back(body->read(i, place, mapping.parts[first].width));
  for (unsigned i = first; i < end; ++i)
    body->write(i, place, body->convert(i, place.head, vectors[i - first]));
}

Value CacheOpLowering::chooseFrom(unsigned part, Value index32, Type type, PartBody body) {
  if (part + 1 == mapping.parts.size())
    return body(part, index32);
  int64_t vectors = mapping.parts[part].getVectors();
  Value isOfPart = builder.compare(arith::CmpIPredicate::ult, index32, vectors);
  auto choice = scf::IfOp::create(builder, type ? TypeRange(type) : TypeRange(), isOfPart,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  auto build = [&](Block *block, llvm::function_ref<Value()> give) {
    builder.setInsertionPointToStart(block);
    Value given = give();
    if (type)
      scf::YieldOp::create(builder, given);
  };
  build(choice.thenBlock(), [&] { return body(part, index32); });
  build(choice.elseBlock(),
        [&] { return chooseFrom(part + 1, builder.add(index32, -vectors), type, body); });
  return type ? choice.getResult(0) : Value();
}

void CacheOpLowering::moveVector(Value row, Value slot, Value index32) {
  unsigned count = mapping.parts.size();
  if (mapping.together)
    return moveParts(0, count, row, slot, index32);
  if (!body->convertsAlike()) {
    chooseFrom(0, index32, {}, [&](unsigned part, Value own) {
      moveParts(part, part + 1, row, slot, own);
      return Value();
    });
    return;
  }
  // One code converts what the parts have: warps that have vectors of both do it
  // once. A type of FP8 does not leave a region.
  int64_t width = mapping.parts.front().width;
  Type element = getFromCache(body->getSpec()).getElement();
  auto bitsType = VectorType::get({width}, builder.bitsOf(element));
  Value bits = chooseFrom(0, index32, bitsType, [&](unsigned part, Value own) -> Value {
    Value vector = body->read(part, placeOf(part, row, slot, own), width);
    return arith::BitcastOp::create(builder, bitsType, vector);
  });
  Value vector = arith::BitcastOp::create(builder, VectorType::get({width}, element), bits);
  constexpr int64_t onlyHead = 0;
  vector = body->convert(0, builder.constantLike(onlyHead, index32), vector);
  chooseFrom(0, index32, {}, [&](unsigned part, Value own) {
    body->write(part, placeOf(part, row, slot, own), vector);
    return Value();
  });
}

void CacheOpLowering::lowerToThreads() {
  int64_t rows = mapping.rowsPerBlock, vectors = mapping.vectorsPerBlock;
  Value thread32 = threadId32(), row = blockId(), vector32 = thread32, row32;
  if (rows > 1) {
    row32 = mapping.rowsFirst ? builder.rem(thread32, rows) : builder.div(thread32, vectors);
    vector32 = mapping.rowsFirst ? builder.div(thread32, rows) : builder.rem(thread32, vectors);
  }
  int64_t blocksPerRow = mapping.getBlocksPerRow();
  if (blocksPerRow > 1) {
    Value which32 =
        arith::TruncIOp::create(builder, builder.getI32Type(), builder.rem(row, blocksPerRow));
    vector32 = builder.add(vector32, builder.mul(which32, vectors));
    row = builder.div(row, blocksPerRow);
  }
  if (rows > 1)
    row = builder.add(builder.mul(row, rows), builder.extend(row32));

  Value hasWork = builder.compare(arith::CmpIPredicate::slt, row, body->getNumRows());
  if (rows * vectors < mapping.blockSize)
    hasWork =
        builder.both(hasWork, builder.compare(arith::CmpIPredicate::ult, thread32, rows * vectors));
  if (blocksPerRow * vectors > mapping.vectorsPerRow)
    hasWork = builder.both(
        hasWork, builder.compare(arith::CmpIPredicate::ult, vector32, mapping.vectorsPerRow));
  builder.ifTrue(hasWork, [&] {
    Value isFirst = builder.compare(arith::CmpIPredicate::eq, vector32, 0);
    body->forValidRow(row, isFirst, [&](Value slot) { moveVector(row, slot, vector32); });
  });
}

void CacheOpLowering::moveColumns(Value row, Value element, Value columns) {
  int64_t width = mapping.parts.front().width;
  auto move = [&](Value at, int64_t count) {
    Place place{row, row, builder.constant(0), at};
    body->write(0, place, body->convert(0, place.head, body->read(0, place, count)));
  };
  if (width == 1)
    return move(element, 1);
  Value end = builder.add(element, width);
  Value isWhole = builder.compare(arith::CmpIPredicate::sle, end, columns);
  auto choice = scf::IfOp::create(builder, isWhole, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(choice.thenBlock());
  move(element, width);
  builder.setInsertionPointToStart(choice.elseBlock());
  builder.forEach(element, columns, 1, [&](Value at) { move(at, 1); });
}

void CacheOpLowering::lowerColumnsToThreads() {
  int64_t width = mapping.parts.front().width, vectors = mapping.vectorsPerBlock;
  Value columns = getOperands(op, ArgumentRole::NumColumns).front();
  // A grid has no more than 2^32 blocks, so that no row has more either; 32 bits
  // divide several times as fast as 64. With no columns there are no blocks, but
  // nothing may divide by zero.
  Value blocksPerRow = builder.div(builder.add(columns, width * vectors - 1), width * vectors);
  blocksPerRow = arith::MinUIOp::create(builder, blocksPerRow,
                                        builder.constant(std::numeric_limits<uint32_t>::max()));
  blocksPerRow = arith::MaxUIOp::create(builder, blocksPerRow, builder.constant(1));
  auto narrow = [&](Value value) {
    return arith::TruncIOp::create(builder, builder.getI32Type(), value);
  };
  Value block32 = narrow(blockId()), divisor32 = narrow(blocksPerRow);
  Value row = builder.extend(arith::DivUIOp::create(builder, block32, divisor32));
  Value which = builder.extend(arith::RemUIOp::create(builder, block32, divisor32));
  Value vector = builder.add(builder.mul(which, vectors), builder.extend(threadId32()));
  Value element = builder.mul(vector, width);
  Value hasWork = builder.both(builder.compare(arith::CmpIPredicate::slt, row, body->getNumRows()),
                               builder.compare(arith::CmpIPredicate::slt, element, columns));
  builder.ifTrue(hasWork, [&] { moveColumns(row, element, columns); });
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

void CacheOpLowering::lowerToLoops() {
  Value zero = builder.constant(0), numRows = body->getNumRows();
  builder.forEach(zero, numRows, 1, [&](Value row) {
    body->forValidRow(row, /*isFirst=*/{}, [&](Value slot) {
      // While one row is converted the next is fetched: the arithmetic is too
      // long for the CPU to look that far ahead. Its slot need not be valid, for
      // fetching never faults.
      Value last = builder.add(numRows, -1);
      Value next = arith::MinSIOp::create(builder, builder.add(row, 1), last);
      Value slotAhead = body->getSlotAhead(next);
      // One part after the other: the constants of two scales are too many for
      // the registers of a CPU.
      for (auto [index, part] : llvm::enumerate(mapping.parts)) {
        unsigned i = index;
        int64_t width = part.width;
        Value heads = builder.constant(part.heads), elements = builder.constant(part.headSize);
        builder.forEach(zero, heads, 1, [&](Value head) {
          builder.forEach(zero, elements, width, [&](Value element) {
            if (slotAhead) {
              constexpr unsigned toRead = 0, intoAllCaches = 3, data = 1;
              Value ahead = body->getReadAddress(i, {next, slotAhead, head, element});
              LLVM::Prefetch::create(builder, ahead, toRead, intoAllCaches, data);
            }
            Place place{row, slot, head, element};
            body->write(i, place, body->convert(i, head, body->read(i, place, width)));
          });
        });
      }
    });
  });
}

void CacheOpLowering::lowerColumnsToLoops() {
  Value zero = builder.constant(0), columns = getOperands(op, ArgumentRole::NumColumns).front();
  builder.forEach(zero, body->getNumRows(), 1, [&](Value row) {
    builder.forEach(zero, columns, mapping.parts.front().width,
                    [&](Value element) { moveColumns(row, element, columns); });
  });
}

namespace {

struct LowerCacheOps : kvq::impl::LowerCacheOpsPassBase<LowerCacheOps> {
  using LowerCacheOpsPassBase::LowerCacheOpsPassBase;

  void runOnOperation() override {
    WalkResult result = getOperation()->walk([&](CacheOpInterface op) -> WalkResult {
      if (failed(requireTarget(op)) || failed(setBlockSize(op)))
        return WalkResult::interrupt();
      // Tables of constants are put beside the function.
      if (op.getSpec(ScalesMode::Argument).perHead &&
          !getOperation()->hasTrait<OpTrait::SymbolTable>())
        return WalkResult(op.emitOpError("expected 'kvq-lower-cache-ops' to run on a module where "
                                         "scales are per head, but it runs on '")
                          << getOperation()->getName() << "'");
      CacheOpLowering(op).lower();
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

  /// A kernel is launched with the block that its operation's threads are mapped
  /// to: writes it down, or holds a hand-written one against it.
  static LogicalResult setBlockSize(CacheOpInterface op) {
    auto kernel = op->getParentOfType<gpu::GPUFuncOp>();
    if (!kernel)
      return success();
    int32_t blockSize = getThreadMapping(op.getSpec(ScalesMode::Argument)).blockSize;
    auto block = DenseI32ArrayAttr::get(op.getContext(), {blockSize, 1, 1});
    DenseI32ArrayAttr known = kernel.getKnownBlockSizeAttr();
    if (known && known != block)
      return op.emitOpError("expected a kernel with 'known_block_size = ")
             << block << "', but got " << known;
    kernel.setKnownBlockSizeAttr(block);
    return success();
  }
};

} // namespace
