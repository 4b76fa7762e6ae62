//===- LowerCacheOps.cpp - Cache operations become vectors and pointers ---===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Dialect/Kvq.h"
#include "kvq/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/Sequence.h"

namespace kvq {
#define GEN_PASS_DEF_LOWERCACHEOPSPASS
#include "kvq/Passes.h.inc"
} // namespace kvq

using namespace mlir;
using namespace kvq;

namespace {

/// Builds the body of one cache operation. Integers are i64 unless a name ends
/// in 32; within a thread block 32 bits hold everything.
template <typename Op> class CacheOpLowering {
public:
  CacheOpLowering(Op op)
      : op(op), builder(op.getLoc(), op), cache(op.getCache()), mapping(op.getThreadMapping()),
        unaligned(isOnHost(op)) {}

  void lower() {
    if (op->template getParentOfType<gpu::GPUFuncOp>())
      lowerToThreads();
    else
      lowerToLoops();
    op.erase();
  }

private:
  static bool isOnHost(Op op) {
    TargetAttr target = getTarget(op);
    return target && target.getChipInfo().backend == Backend::Host;
  }

  void lowerToThreads();
  void lowerToLoops();

  /// Runs `body` with the slot of `token` if the kernel may touch it. `isFirst`
  /// (i1, or null for always) tells the one thread that counts bad slots.
  void forValidSlot(Value token, Value isFirst, llvm::function_ref<void(Value slot)> body);

  /// Moves the vectors at `element` of head `head`, of the caches `which`.
  void moveVectors(llvm::iota_range<unsigned> which, Value token, Value slot, Value head,
                   Value element);

  /// Has the CPU fetch what the i-th cache's move at this place will read.
  void prefetch(unsigned i, Value token, Value slot, Value head, Value element);

  /// Where an element lies, in elements from the start of the i-th array of rows
  /// or the i-th cache.
  Value rowOffset(unsigned i, Value token, Value head, Value element);
  Value cacheOffset(unsigned i, Value slot, Value head, Value element);

  /// The slot that `slot_mapping` has for `token`.
  Value slotOf(Value token);

  llvm::iota_range<unsigned> allCaches() { return llvm::seq<unsigned>(0, op.getCaches().size()); }

  Value constant(int64_t value, unsigned width = 64) {
    return arith::ConstantOp::create(builder,
                                     builder.getIntegerAttr(builder.getIntegerType(width), value));
  }
  Value add(Value a, Value b) { return arith::AddIOp::create(builder, a, b); }
  Value mul(Value a, Value b) { return arith::MulIOp::create(builder, a, b); }
  Value div(Value a, int64_t b) {
    return arith::DivUIOp::create(builder, a, constant(b, a.getType().getIntOrFloatBitWidth()));
  }
  Value rem(Value a, int64_t b) {
    return arith::RemUIOp::create(builder, a, constant(b, a.getType().getIntOrFloatBitWidth()));
  }
  Value compare(arith::CmpIPredicate predicate, Value a, Value b) {
    return arith::CmpIOp::create(builder, predicate, a, b);
  }
  Value extend(Value value32) {
    return arith::ExtUIOp::create(builder, builder.getI64Type(), value32);
  }
  Value indexTo(Type type, Value index) {
    return arith::IndexCastUIOp::create(builder, type, index);
  }

  /// The address of element `offset` of an array of `type`.
  Value address(Value base, Type type, Value offset) {
    return LLVM::GEPOp::create(builder, base.getType(), type, base,
                               ArrayRef<LLVM::GEPArg>{LLVM::GEPArg(offset)});
  }

  /// The integer that holds an element's bits, so that what is copied is never
  /// interpreted.
  Type bitsOf(Type element) { return builder.getIntegerType(element.getIntOrFloatBitWidth()); }
  VectorType vectorOf(Type element) { return VectorType::get({mapping.vectorWidth}, element); }
  unsigned alignOf(Type element) {
    return element.getIntOrFloatBitWidth() / 8 * (unaligned ? 1 : mapping.vectorWidth);
  }

  Value load(Value base, Type element, Value offset) {
    auto load = LLVM::LoadOp::create(builder, vectorOf(bitsOf(element)),
                                     address(base, bitsOf(element), offset), alignOf(element));
    load.setInvariant(true);
    return arith::BitcastOp::create(builder, vectorOf(element), load);
  }
  void store(Value vector, Value base, Type element, Value offset) {
    Value bits = arith::BitcastOp::create(builder, vectorOf(bitsOf(element)), vector);
    LLVM::StoreOp::create(builder, bits, address(base, bitsOf(element), offset), alignOf(element));
  }

  /// The arithmetic of the index-th scale, as the op has it.
  ArrayAttr arithmeticOf(unsigned index) {
    ArrayAttr all = op.getArithmeticAttr();
    return all ? builder.getArrayAttr(all[index]) : ArrayAttr();
  }

  /// A vector in the other side's type.
  Value convert(Value vector, unsigned index);

  Op op;
  ImplicitLocOpBuilder builder;
  CacheAttr cache;
  ThreadMapping mapping;
  bool unaligned;
};

} // namespace

template <typename Op> Value CacheOpLowering<Op>::slotOf(Value token) {
  Type i64 = builder.getI64Type();
  auto slot = LLVM::LoadOp::create(builder, i64, address(op.getSlotMapping(), i64, token),
                                   /*alignment=*/8);
  slot.setInvariant(true);
  return slot;
}

template <typename Op>
void CacheOpLowering<Op>::forValidSlot(Value token, Value isFirst,
                                       llvm::function_ref<void(Value)> body) {
  Value slot = slotOf(token);
  Value isValid;
  if (op.getBounds() == Bounds::Off) {
    isValid = compare(arith::CmpIPredicate::sge, slot, constant(0));
  } else {
    // As unsigned numbers the negative slots are beyond every cache.
    Value limit = mul(op.getNumBlocks(), constant(cache.getBlockSize()));
    isValid = compare(arith::CmpIPredicate::ult, slot, limit);
    if (op.getBounds() == Bounds::Count) {
      Value isBeyond = compare(arith::CmpIPredicate::sge, slot, limit);
      if (isFirst)
        isBeyond = arith::AndIOp::create(builder, isBeyond, isFirst);
      auto count = scf::IfOp::create(builder, isBeyond, /*withElseRegion=*/false);
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(count.thenBlock());
      LLVM::AtomicRMWOp::create(builder, LLVM::AtomicBinOp::add, op.getOutOfRange(), constant(1),
                                LLVM::AtomicOrdering::monotonic);
    }
  }
  auto guarded = scf::IfOp::create(builder, isValid, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(guarded.thenBlock());
  body(slot);
}

template <typename Op> Value CacheOpLowering<Op>::convert(Value vector, unsigned index) {
  if (!cache.getFp8Format())
    return vector;
  Value scale = op.getScales()[index];
  if (op.isQuantizing())
    return QuantizeOp::create(builder, vectorOf(cache.getElement()), vector, scale,
                              arithmeticOf(index));
  return DequantizeOp::create(builder, vectorOf(op.getSourceType()), vector, scale,
                              arithmeticOf(index));
}

template <typename Op>
Value CacheOpLowering<Op>::rowOffset(unsigned i, Value token, Value head, Value element) {
  Value inRow = add(mul(head, constant(cache.getHeadSize())), element);
  return add(mul(token, op.getRowStrides()[i]), inRow);
}

template <typename Op>
Value CacheOpLowering<Op>::cacheOffset(unsigned i, Value slot, Value head, Value element) {
  constexpr unsigned stridesPerCache = 3;
  ValueRange strides = op.getCacheStrides().slice(i * stridesPerCache, stridesPerCache);
  Value block = div(slot, cache.getBlockSize()), row = rem(slot, cache.getBlockSize());
  Value place = add(mul(block, strides[0]), mul(row, strides[1]));
  return add(add(place, mul(head, strides[2])), element);
}

template <typename Op>
void CacheOpLowering<Op>::moveVectors(llvm::iota_range<unsigned> which, Value token, Value slot,
                                      Value head, Value element) {
  SmallVector<Value> rowOffsets, cacheOffsets, loaded;
  for (unsigned i : which) {
    rowOffsets.push_back(rowOffset(i, token, head, element));
    cacheOffsets.push_back(cacheOffset(i, slot, head, element));
  }
  // All loads come before the first store, so that they are under way together.
  bool toCache = op.isQuantizing();
  for (auto [i, inRows, inCache] : llvm::zip_equal(which, rowOffsets, cacheOffsets))
    loaded.push_back(toCache ? load(op.getRows()[i], op.getSourceType(), inRows)
                             : load(op.getCaches()[i], cache.getElement(), inCache));
  for (auto [i, inRows, inCache, vector] :
       llvm::zip_equal(which, rowOffsets, cacheOffsets, loaded)) {
    if (toCache)
      store(convert(vector, i), op.getCaches()[i], cache.getElement(), inCache);
    else
      store(convert(vector, i), op.getRows()[i], op.getSourceType(), inRows);
  }
}

template <typename Op>
void CacheOpLowering<Op>::prefetch(unsigned i, Value token, Value slot, Value head, Value element) {
  Value source = op.isQuantizing() ? address(op.getRows()[i], bitsOf(op.getSourceType()),
                                             rowOffset(i, token, head, element))
                                   : address(op.getCaches()[i], bitsOf(cache.getElement()),
                                             cacheOffset(i, slot, head, element));
  constexpr unsigned toRead = 0, intoAllCaches = 3, data = 1;
  LLVM::Prefetch::create(builder, source, toRead, intoAllCaches, data);
}

template <typename Op> void CacheOpLowering<Op>::lowerToThreads() {
  Type i32 = builder.getI32Type();
  int64_t width = mapping.vectorWidth, vectors = mapping.vectorsPerRow;
  Value thread32 = indexTo(i32, gpu::ThreadIdOp::create(builder, gpu::Dimension::x));
  Value token = indexTo(builder.getI64Type(), gpu::BlockIdOp::create(builder, gpu::Dimension::x));
  Value vector32 = thread32;
  if (mapping.tokensPerBlock > 1) {
    vector32 = rem(thread32, vectors);
    token = add(mul(token, constant(mapping.tokensPerBlock)), extend(div(thread32, vectors)));
  }
  Value hasWork = compare(arith::CmpIPredicate::slt, token, op.getNumTokens());
  int64_t working = mapping.tokensPerBlock * vectors;
  if (working < mapping.blockSize)
    hasWork = arith::AndIOp::create(
        builder, hasWork, compare(arith::CmpIPredicate::ult, thread32, constant(working, 32)));
  auto guarded = scf::IfOp::create(builder, hasWork, /*withElseRegion=*/false);
  builder.setInsertionPointToStart(guarded.thenBlock());

  Value isFirst = compare(arith::CmpIPredicate::eq, vector32, constant(0, 32));
  forValidSlot(token, isFirst, [&](Value slot) {
    auto move = [&](Value index32) {
      int64_t perHead = cache.getHeadSize() / width;
      Value head = extend(div(index32, perHead));
      Value element =
          extend(arith::MulIOp::create(builder, rem(index32, perHead), constant(width, 32)));
      moveVectors(allCaches(), token, slot, head, element);
    };
    if (working <= mapping.blockSize)
      return move(vector32);
    auto loop = scf::ForOp::create(builder, vector32, constant(vectors, 32),
                                   constant(mapping.blockSize, 32));
    builder.setInsertionPointToStart(loop.getBody());
    move(loop.getInductionVar());
  });
}

template <typename Op> void CacheOpLowering<Op>::lowerToLoops() {
  auto openLoop = [&](Value bound, int64_t step) {
    auto loop = scf::ForOp::create(builder, constant(0), bound, constant(step));
    builder.setInsertionPointToStart(loop.getBody());
    return loop.getInductionVar();
  };
  Value token = openLoop(op.getNumTokens(), 1);
  forValidSlot(token, /*isFirst=*/{}, [&](Value slot) {
    // While one token is converted the next is fetched: the arithmetic is too
    // long for the CPU to look that far ahead. Its slot need not be valid, for
    // fetching never faults.
    Value last = arith::SubIOp::create(builder, op.getNumTokens(), constant(1));
    Value next = arith::MinSIOp::create(builder, add(token, constant(1)), last);
    Value nextSlot = slotOf(next);
    // One cache after the other: the constants of two scales are too many for
    // the registers of a CPU.
    for (unsigned i : allCaches()) {
      OpBuilder::InsertionGuard guard(builder);
      Value head = openLoop(constant(cache.getKvHeads()), 1);
      Value element = openLoop(constant(cache.getHeadSize()), mapping.vectorWidth);
      prefetch(i, next, nextSlot, head, element);
      moveVectors(llvm::seq<unsigned>(i, i + 1), token, slot, head, element);
    }
  });
}

namespace {

struct LowerCacheOps : kvq::impl::LowerCacheOpsPassBase<LowerCacheOps> {
  using LowerCacheOpsPassBase::LowerCacheOpsPassBase;

  void runOnOperation() override {
    WalkResult result = getOperation()->walk([](CacheOpInterface op) -> WalkResult {
      if (failed(requireTarget(op)) || failed(setBlockSize(op)))
        return WalkResult::interrupt();
      if (auto store = dyn_cast<CacheStoreOp>(*op))
        CacheOpLowering(store).lower();
      else
        CacheOpLowering(cast<CacheLoadOp>(*op)).lower();
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
    int32_t blockSize = op.getThreadMapping().blockSize;
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
