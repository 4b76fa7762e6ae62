//===- CacheOps.cpp - Operations on a paged cache -------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Dialect/Kvq.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace kvq;

//===----------------------------------------------------------------------===//
// Assembly
//===----------------------------------------------------------------------===//

/// All pointers of a cache op have one type, which stands once at its end.
static ParseResult parsePointerType(OpAsmParser &parser,
                                    ArrayRef<OpAsmParser::UnresolvedOperand> rows,
                                    ArrayRef<OpAsmParser::UnresolvedOperand> caches,
                                    std::optional<OpAsmParser::UnresolvedOperand> outOfRange,
                                    SmallVectorImpl<Type> &rowTypes,
                                    SmallVectorImpl<Type> &cacheTypes, Type &slotMappingType,
                                    Type &outOfRangeType) {
  if (parser.parseType(slotMappingType))
    return failure();
  rowTypes.assign(rows.size(), slotMappingType);
  cacheTypes.assign(caches.size(), slotMappingType);
  if (outOfRange)
    outOfRangeType = slotMappingType;
  return success();
}

static void printPointerType(OpAsmPrinter &printer, Operation *, OperandRange, OperandRange, Value,
                             TypeRange, TypeRange, Type slotMappingType, Type) {
  printer << slotMappingType;
}

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

/// Holds the operands to the kernel arguments that the op's own attributes ask
/// for, so that a lowering can rely on their number.
template <typename Op> static LogicalResult verifyCacheOp(Op op) {
  Type source = op.getSourceType();
  CacheAttr cache = op.getCache();
  if (!getSourceType(source))
    return op.emitOpError("expected the source type to be one of ")
           << listNames<SourceType>() << ", but got " << source;
  if (!cache.getFp8Format() && cache.getElement() != source)
    return op.emitOpError("expected the cache to hold an FP8 format or the source type ")
           << source << ", but got " << cache.getElement();
  for (Value pointer : op->getOperands())
    if (isa<LLVM::LLVMPointerType>(pointer.getType()) &&
        pointer.getType() != op.getSlotMapping().getType())
      return op.emitOpError("expected all pointers to have type ")
             << op.getSlotMapping().getType() << ", but got " << pointer.getType();

  // Any chip has the same arguments; only their alignment differs.
  CacheKernelSpec spec{op.getKind(), allChips().front(), op.getBoundsMode(), ScalesMode::Argument};
  SmallVector<KernelArgument> arguments = getKernelArguments(spec, cache, source);
  auto expectCount = [&](ArgumentRole role, size_t count, StringRef what) -> LogicalResult {
    size_t expected = llvm::count_if(
        arguments, [&](const KernelArgument &argument) { return argument.role == role; });
    if (count == expected)
      return success();
    return op.emitOpError("expected ")
           << expected << " " << what << " for layout '" << stringify(cache.getLayout().getKind())
           << "', bounds '" << stringify(op.getBoundsMode()) << "' and a cache of "
           << cache.getElement() << ", but got " << count;
  };
  if (failed(expectCount(ArgumentRole::Rows, op.getRows().size(), "pointers to rows")) ||
      failed(expectCount(ArgumentRole::Caches, op.getCaches().size(), "caches")) ||
      failed(expectCount(ArgumentRole::RowStrides, op.getRowStrides().size(), "row strides")) ||
      failed(
          expectCount(ArgumentRole::CacheStrides, op.getCacheStrides().size(), "cache strides")) ||
      failed(expectCount(ArgumentRole::OutOfRange, op.getOutOfRange() ? 1 : 0, "counters")) ||
      failed(expectCount(ArgumentRole::Scales, op.getScales().size(), "scales")))
    return failure();
  return success();
}

LogicalResult CacheStoreOp::verify() { return verifyCacheOp(*this); }
LogicalResult CacheLoadOp::verify() { return verifyCacheOp(*this); }

//===----------------------------------------------------------------------===//
// Canonicalization
//===----------------------------------------------------------------------===//

/// An operation on no tokens does nothing.
template <typename Op> static LogicalResult eraseIfEmpty(Op op, PatternRewriter &rewriter) {
  APInt numTokens;
  if (!matchPattern(op.getNumTokens(), m_ConstantInt(&numTokens)) || numTokens.isStrictlyPositive())
    return failure();
  rewriter.eraseOp(op);
  return success();
}

LogicalResult CacheStoreOp::canonicalize(CacheStoreOp op, PatternRewriter &rewriter) {
  return eraseIfEmpty(op, rewriter);
}
LogicalResult CacheLoadOp::canonicalize(CacheLoadOp op, PatternRewriter &rewriter) {
  return eraseIfEmpty(op, rewriter);
}

//===----------------------------------------------------------------------===//
// Interfaces
//===----------------------------------------------------------------------===//

CacheOpKind CacheStoreOp::getKind() { return CacheOpKind::Store; }
CacheOpKind CacheLoadOp::getKind() { return CacheOpKind::Load; }

bool CacheStoreOp::isQuantizing() { return true; }
bool CacheLoadOp::isQuantizing() { return false; }

/// The chip of an op's module; a verifier does not demand one, so that layers
/// can be written down before a target is chosen.
static const ChipInfo &chipOf(Operation *op) {
  TargetAttr target = getTarget(op);
  return target ? target.getChipInfo() : allChips().front();
}

#define KVQ_CACHE_OP_METHODS(Op)                                                                   \
  OperandRange Op::getScaleOperands() { return getScales(); }                                      \
  Type Op::getWideElementType() { return getSourceType(); }                                        \
  Type Op::getNarrowElementType() { return getCache().getElement(); }                              \
  Bounds Op::getBoundsMode() { return getBounds(); }                                               \
  ThreadMapping Op::getThreadMapping() {                                                           \
    return kvq::getThreadMapping(chipOf(*this), getCache(), getSourceType());                      \
  }                                                                                                \
  SmallVector<KernelArgument> Op::getKernelArguments(ScalesMode scales) {                          \
    return kvq::getKernelArguments({getKind(), chipOf(*this), getBoundsMode(), scales},            \
                                   getCache(), getSourceType());                                   \
  }

KVQ_CACHE_OP_METHODS(CacheStoreOp)
KVQ_CACHE_OP_METHODS(CacheLoadOp)

#undef KVQ_CACHE_OP_METHODS

#define GET_OP_CLASSES
#include "kvq/Dialect/KvqCacheOps.cpp.inc"
