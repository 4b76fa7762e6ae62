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

using UnresolvedOperand = OpAsmParser::UnresolvedOperand;

/// `(%k, %v)`, each a float32 unless types follow: `(%k, %v : vector<8xf32>, f32)`.
static ParseResult parseScales(OpAsmParser &parser, SmallVectorImpl<UnresolvedOperand> &scales,
                               SmallVectorImpl<Type> &types) {
  if (parser.parseLParen() || parser.parseOperandList(scales))
    return failure();
  if (succeeded(parser.parseOptionalColon())) {
    if (parser.parseTypeList(types))
      return failure();
  } else {
    types.assign(scales.size(), parser.getBuilder().getF32Type());
  }
  return parser.parseRParen();
}

static void printScales(OpAsmPrinter &printer, Operation *, OperandRange scales, TypeRange types) {
  printer << "(" << scales;
  if (!llvm::all_of(types, [](Type type) { return type.isF32(); }))
    printer << " : " << types;
  printer << ")";
}

// All pointers of a cache op have one type, which stands once at its end.

static ParseResult parsePointerType(OpAsmParser &parser, ArrayRef<UnresolvedOperand> rows,
                                    ArrayRef<UnresolvedOperand> caches,
                                    std::optional<UnresolvedOperand> outOfRange,
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

static ParseResult parseGatherPointerType(OpAsmParser &parser, ArrayRef<UnresolvedOperand> rows,
                                          ArrayRef<UnresolvedOperand> caches,
                                          std::optional<UnresolvedOperand> outOfRange,
                                          SmallVectorImpl<Type> &rowTypes,
                                          SmallVectorImpl<Type> &cacheTypes, Type &tableType,
                                          Type &lensType, Type &startsType, Type &outOfRangeType) {
  if (parsePointerType(parser, rows, caches, outOfRange, rowTypes, cacheTypes, tableType,
                       outOfRangeType))
    return failure();
  lensType = startsType = tableType;
  return success();
}

static void printGatherPointerType(OpAsmPrinter &printer, Operation *, OperandRange, OperandRange,
                                   Value, TypeRange, TypeRange, Type tableType, Type, Type, Type) {
  printer << tableType;
}

/// Two lists of pointers.
static ParseResult parsePointerLists(OpAsmParser &parser, ArrayRef<UnresolvedOperand> first,
                                     SmallVectorImpl<Type> &firstTypes,
                                     ArrayRef<UnresolvedOperand> second,
                                     SmallVectorImpl<Type> &secondTypes) {
  Type type;
  if (parser.parseType(type))
    return failure();
  firstTypes.assign(first.size(), type);
  secondTypes.assign(second.size(), type);
  return success();
}

static void printPointerLists(OpAsmPrinter &printer, Operation *, OperandRange, TypeRange,
                              OperandRange, TypeRange types) {
  printer << types.front();
}

/// The caches that are read, `into`, and those that are written; only the latter
/// where they are both.
static ParseResult parseCacheLists(OpAsmParser &parser, SmallVectorImpl<UnresolvedOperand> &from,
                                   SmallVectorImpl<UnresolvedOperand> &caches) {
  if (parser.parseOperandList(caches))
    return failure();
  if (failed(parser.parseOptionalKeyword("into")))
    return success();
  from.assign(caches.begin(), caches.end());
  caches.clear();
  return parser.parseOperandList(caches);
}

static void printCacheLists(OpAsmPrinter &printer, Operation *, OperandRange from,
                            OperandRange caches) {
  if (!from.empty())
    printer << from << " into ";
  printer << caches;
}

/// The strides in the same manner: one list in parentheses, or two.
static ParseResult parseStrideLists(OpAsmParser &parser, SmallVectorImpl<UnresolvedOperand> &from,
                                    SmallVectorImpl<UnresolvedOperand> &strides) {
  constexpr auto delimiter = OpAsmParser::Delimiter::Paren;
  if (parser.parseOperandList(strides, delimiter))
    return failure();
  if (failed(parser.parseOptionalComma()))
    return success();
  from.assign(strides.begin(), strides.end());
  strides.clear();
  return parser.parseOperandList(strides, delimiter);
}

static void printStrideLists(OpAsmPrinter &printer, Operation *, OperandRange from,
                             OperandRange strides) {
  if (!from.empty())
    printer << '(' << from << "), ";
  printer << '(' << strides << ')';
}

/// Two pointers.
static ParseResult parsePointerPair(OpAsmParser &parser, Type &first, Type &second) {
  if (parser.parseType(first))
    return failure();
  second = first;
  return success();
}

static void printPointerPair(OpAsmPrinter &printer, Operation *, Type type, Type) {
  printer << type;
}

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

/// What a message calls the operands of a role.
static StringRef describeOperands(ArgumentRole role) {
  switch (role) {
  case ArgumentRole::Rows:
    return "pointers to rows";
  case ArgumentRole::FromCaches:
    return "caches to read";
  case ArgumentRole::Caches:
    return "caches";
  case ArgumentRole::RowStrides:
    return "row strides";
  case ArgumentRole::FromStrides:
    return "strides of the caches to read";
  case ArgumentRole::CacheStrides:
    return "cache strides";
  case ArgumentRole::OutOfRange:
    return "counters";
  case ArgumentRole::FromScales:
    return "scales to read with";
  case ArgumentRole::Scales:
    return "scales";
  case ArgumentRole::ComputedScales:
    return "computed scales";
  default:
    return "operands";
  }
}

LogicalResult kvq::detail::verifyCacheOp(Operation *operation) {
  auto op = cast<CacheOpInterface>(operation);
  if (StringRef name = operation->getName().getStringRef(); getInfo(op.getKind()).opName != name) {
    std::string kinds;
    for (CacheOpKind kind : allValues<CacheOpKind>())
      if (getInfo(kind).opName == name)
        kinds += (kinds.empty() ? "'" : ", '") + stringify(kind).str() + "'";
    return operation->emitOpError("expected one of ")
           << kinds << ", but got '" << stringify(op.getKind()) << "'";
  }
  // Any chip has the same arguments; only their alignment differs.
  CacheKernelSpec spec = op.getSpec(ScalesMode::Argument);
  if (failed(verifySpec([&] { return operation->emitOpError(); }, spec)))
    return failure();
  int64_t heads = spec.cache.getKvHeads();
  for (Value scale : getOperands(op, ArgumentRole::Scales))
    if (auto vector = dyn_cast<VectorType>(scale.getType());
        vector && vector.getNumElements() != heads)
      return operation->emitOpError("expected a scale of one number, or of one for each of ")
             << heads << " KV heads, but got " << vector;
  Type pointer;
  for (Value operand : operation->getOperands())
    if (isa<LLVM::LLVMPointerType>(operand.getType())) {
      pointer = pointer ? pointer : operand.getType();
      if (operand.getType() != pointer)
        return operation->emitOpError("expected all pointers to have type ")
               << pointer << ", but got " << operand.getType();
    }
  SmallVector<KernelArgument> arguments = getKernelArguments(spec);
  ArrayRef<ArgumentRole> roles = getInfo(spec.kind).roles;
  for (size_t index = 0; index < roles.size(); ++index) {
    ArgumentRole role = roles[index];
    size_t expected = llvm::count_if(
        arguments, [&](const KernelArgument &argument) { return argument.role == role; });
    size_t count = op.getOperandGroup(index).size();
    if (count != expected)
      return operation->emitOpError("expected ")
             << expected << " " << describeOperands(role) << " for layout '"
             << spec.cache.getLayout().getText() << "', bounds '" << stringify(spec.bounds)
             << "' and a cache of " << spec.cache.getElement() << ", but got " << count;
  }
  return success();
}

LogicalResult ComputeScalesOp::verify() {
  if (getConstants().size() != 3)
    return emitOpError("expected constants for q, k and v, but got ") << getConstants().size();
  for (float constant : getConstants())
    if (!(constant > 0))
      return emitOpError("expected positive constants, but got ") << constant;
  return success();
}

//===----------------------------------------------------------------------===//
// Canonicalization
//===----------------------------------------------------------------------===//

/// An operation on nothing does nothing.
static LogicalResult eraseIfEmpty(Operation *op, Value number, PatternRewriter &rewriter) {
  APInt constant;
  if (!matchPattern(number, m_ConstantInt(&constant)) || constant.isStrictlyPositive())
    return failure();
  rewriter.eraseOp(op);
  return success();
}

LogicalResult CacheStoreOp::canonicalize(CacheStoreOp op, PatternRewriter &rewriter) {
  return eraseIfEmpty(op, op.getNumTokens(), rewriter);
}
LogicalResult CacheLoadOp::canonicalize(CacheLoadOp op, PatternRewriter &rewriter) {
  return eraseIfEmpty(op, op.getNumTokens(), rewriter);
}
LogicalResult CacheGatherOp::canonicalize(CacheGatherOp op, PatternRewriter &rewriter) {
  return eraseIfEmpty(op, op.getNumTokens(), rewriter);
}
LogicalResult CacheRecodeOp::canonicalize(CacheRecodeOp op, PatternRewriter &rewriter) {
  return eraseIfEmpty(op, op.getNumBlocks(), rewriter);
}
LogicalResult QuantizeRowsOp::canonicalize(QuantizeRowsOp op, PatternRewriter &rewriter) {
  return eraseIfEmpty(op, op.getNumRows(), rewriter);
}
LogicalResult ComputeScalesOp::canonicalize(ComputeScalesOp op, PatternRewriter &rewriter) {
  return eraseIfEmpty(op, op.getNumTokens(), rewriter);
}

//===----------------------------------------------------------------------===//
// Interfaces
//===----------------------------------------------------------------------===//

/// The chip of an op's module; a verifier does not demand one, so that layers
/// can be written down before a target is chosen.
static const ChipInfo &chipOf(Operation *op) {
  TargetAttr target = getTarget(op);
  return target ? target.getChipInfo() : allChips().front();
}

/// What the spec of every op has.
template <typename Op> static CacheKernelSpec commonSpec(Op op, ScalesMode scales) {
  auto isPerHead = [](Value scale) { return isa<VectorType>(scale.getType()); };
  CacheKernelSpec spec;
  spec.perHead = llvm::any_of(op.getScaleOperands(), isPerHead);
  spec.kind = op.getKind();
  spec.chip = &chipOf(op);
  spec.sourceType = op.getSourceType();
  spec.cache = op.getCache();
  spec.scales = scales;
  return spec;
}

/// The spec of an op on slots.
template <typename Op> static CacheKernelSpec slotSpec(Op op, ScalesMode scales) {
  CacheKernelSpec spec = commonSpec(op, scales);
  spec.bounds = op.getBounds();
  spec.slotType = op.getSlotType();
  spec.paddingSlot = op.getPaddingSlot();
  return spec;
}

CacheOpKind CacheStoreOp::getKind() { return CacheOpKind::Store; }
CacheKernelSpec CacheStoreOp::getSpec(ScalesMode scales) { return slotSpec(*this, scales); }

CacheOpKind CacheLoadOp::getKind() { return CacheOpKind::Load; }
CacheKernelSpec CacheLoadOp::getSpec(ScalesMode scales) { return slotSpec(*this, scales); }

CacheOpKind CacheGatherOp::getKind() { return CacheOpKind::Gather; }
CacheKernelSpec CacheGatherOp::getSpec(ScalesMode scales) {
  CacheKernelSpec spec = commonSpec(*this, scales);
  spec.bounds = getBounds();
  return spec;
}

CacheKernelSpec CacheRecodeOp::getSpec(ScalesMode scales) { return commonSpec(*this, scales); }

CacheOpKind QuantizeRowsOp::getKind() {
  return getNumColumns() ? CacheOpKind::QuantizeProb : CacheOpKind::QuantizeQuery;
}
CacheKernelSpec QuantizeRowsOp::getSpec(ScalesMode scales) {
  CacheKernelSpec spec = commonSpec(*this, scales);
  spec.heads = getHeads();
  return spec;
}

CacheOpKind ComputeScalesOp::getKind() { return CacheOpKind::ComputeScales; }
CacheKernelSpec ComputeScalesOp::getSpec(ScalesMode scales) {
  CacheKernelSpec spec = commonSpec(*this, scales);
  spec.heads = getHeads();
  spec.constants.assign(getConstants().begin(), getConstants().end());
  return spec;
}

#define GET_OP_CLASSES
#include "kvq/Dialect/KvqCacheOps.cpp.inc"
