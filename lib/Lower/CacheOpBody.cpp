//===- CacheOpBody.cpp - What a cache operation does to its rows ----------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CacheOpBody.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace kvq;
using Role = ArgumentRole;

//===----------------------------------------------------------------------===//
// What all share
//===----------------------------------------------------------------------===//

Value CacheOpBody::getNumRows() {
  if (getInfo(spec.kind).walk != Walk::Blocks)
    return operand(Role::NumTokens);
  return builder.mul(operand(Role::NumBlocks), spec.cache.getBlockSize());
}

Value CacheOpBody::read(unsigned part, const Place &place, int64_t width) {
  return from[part]->load(builder, place, width);
}

void CacheOpBody::write(unsigned part, const Place &place, Value vector) {
  to[part]->store(builder, place, vector);
}

Side::Array CacheOpBody::array(Value base, Type element, int64_t access, bool isConstant) const {
  bool isAligned = spec.chip->backend != Backend::Host;
  return {base, element, access, isAligned, isConstant};
}

std::unique_ptr<Side> CacheOpBody::cacheSide(const CachePart &part, Role caches, Role strides,
                                             Type element, int64_t access, bool isConstant) {
  size_t count = part.strides.size();
  ValueRange own = ValueRange(getOperands(op, strides)).slice(part.cache * count, count);
  Value base = getOperands(op, caches)[part.cache];
  return std::make_unique<CacheSide>(array(base, element, access, isConstant), part, own,
                                     spec.cache.getBlockSize());
}

bool CacheOpBody::convertsAlike() const {
  const MovedPart &first = mapping.parts.front();
  return !scales.empty() && llvm::all_equal(scales) &&
         llvm::all_of(mapping.parts, [&](const MovedPart &part) {
           return part.heads == 1 && part.width == first.width;
         });
}

ArrayAttr CacheOpBody::arithmeticOf(unsigned scale) {
  ArrayAttr all = cast<ScaledOpInterface>(op.getOperation()).getArithmeticAttr();
  return all ? builder.getArrayAttr(all[scale]) : ArrayAttr();
}

/// The type of a vector with another element.
static Type like(Value vector, Type element) {
  return cast<VectorType>(vector.getType()).clone(element);
}

std::optional<HeadScale> CacheOpBody::getHeadScale(unsigned scale) {
  Value operand = getOperands(op, Role::Scales)[scale];
  if (!isa<VectorType>(operand.getType()))
    return std::nullopt;
  ArrayAttr all = cast<ScaledOpInterface>(op.getOperation()).getArithmeticAttr();
  return HeadScale{op, operand, all ? cast<ArrayAttr>(all[scale]) : ArrayAttr()};
}

/// The scale and the arithmetic of a conversion that only rounds.
static std::pair<Value, ArrayAttr> noScale(CodeBuilder &builder) {
  Value one = arith::ConstantOp::create(builder, builder.getF32FloatAttr(1.0f));
  auto none = ArithmeticAttr::get(builder.getContext(), Method::None, llvm::APFloat(1.0f),
                                  llvm::APFloat(0.0f), SourceType::F32, /*truncates=*/false,
                                  /*tried=*/0, /*by_switch_points=*/false);
  return {one, builder.getArrayAttr(none)};
}

Value CacheOpBody::quantize(Value vector, Type element, unsigned scale, Value head) {
  if (std::optional<HeadScale> heads = getHeadScale(scale)) {
    Type f32 = builder.getF32Type();
    if (!getElementTypeOrSelf(vector).isF32())
      vector = arith::ExtFOp::create(builder, like(vector, f32), vector);
    vector = heads->apply(builder, vector, head, /*divides=*/true);
    auto [one, none] = noScale(builder);
    return QuantizeOp::create(builder, like(vector, element), vector, one, none);
  }
  return QuantizeOp::create(builder, like(vector, element), vector,
                            getOperands(op, Role::Scales)[scale], arithmeticOf(scale));
}

Value CacheOpBody::dequantize(Value vector, Type element, unsigned scale, Value head) {
  if (std::optional<HeadScale> heads = getHeadScale(scale)) {
    auto [one, none] = noScale(builder);
    Value values =
        DequantizeOp::create(builder, like(vector, builder.getF32Type()), vector, one, none);
    values = heads->apply(builder, values, head, /*divides=*/false);
    return element.isF32() ? values
                           : Value(arith::TruncFOp::create(builder, like(values, element), values));
  }
  return DequantizeOp::create(builder, like(vector, element), vector,
                              getOperands(op, Role::Scales)[scale], arithmeticOf(scale));
}

namespace {

//===----------------------------------------------------------------------===//
// store, load, gather
//===----------------------------------------------------------------------===//

/// Moves tokens between rows and the cache.
class TokenBody : public CacheOpBody {
public:
  TokenBody(CodeBuilder &builder, CacheOpInterface op) : CacheOpBody(builder, op) {
    bool stores = spec.kind == CacheOpKind::Store;
    OperandRange rows = getOperands(op, Role::Rows), strides = getOperands(op, Role::RowStrides);
    for (auto [index, part] : llvm::enumerate(spec.cache.getParts())) {
      const MovedPart &moved = mapping.parts[index];
      scales.push_back(part.scale);
      auto inRows =
          std::make_unique<RowSide>(array(rows[part.rows], spec.sourceType, moved.width, stores),
                                    strides[part.rows], part.headSize);
      auto inCache = cacheSide(part, Role::Caches, Role::CacheStrides, spec.cache.getElement(),
                               stores ? moved.toWidth : moved.fromWidth, !stores);
      from.push_back(stores ? std::unique_ptr<Side>(std::move(inRows)) : std::move(inCache));
      to.push_back(stores ? std::move(inCache) : std::unique_ptr<Side>(std::move(inRows)));
    }
  }

  Value convert(unsigned part, Value head, Value vector) override {
    if (!spec.cache.getFp8Format())
      return vector;
    return spec.kind == CacheOpKind::Store
               ? quantize(vector, spec.cache.getElement(), scales[part], head)
               : dequantize(vector, spec.sourceType, scales[part], head);
  }

protected:
  /// Counts a bad slot, once a row.
  void count(Value isBad, Value isFirst) {
    if (spec.bounds != Bounds::Count)
      return;
    builder.ifTrue(isFirst ? builder.both(isBad, isFirst) : isBad, [&] {
      LLVM::AtomicRMWOp::create(builder, LLVM::AtomicBinOp::add, operand(Role::OutOfRange),
                                builder.constant(1), LLVM::AtomicOrdering::monotonic);
    });
  }
};

class SlotBody : public TokenBody {
public:
  using TokenBody::TokenBody;

  Value getSlotAhead(Value row) override {
    unsigned width = spec.slotType == SlotType::I64 ? 64 : 32;
    Value slot = builder.loadInteger(operand(Role::SlotMapping), width, row);
    return width == 64 ? slot : arith::ExtSIOp::create(builder, builder.getI64Type(), slot);
  }

  void forValidRow(Value row, Value isFirst, llvm::function_ref<void(Value)> body) override {
    Value slot = getSlotAhead(row);
    Value isValid;
    if (spec.bounds == Bounds::Off) {
      isValid = builder.compare(arith::CmpIPredicate::sge, slot, 0);
    } else {
      // As unsigned numbers the negative slots are beyond every cache.
      Value limit = builder.mul(operand(Role::NumBlocks), spec.cache.getBlockSize());
      isValid = builder.compare(arith::CmpIPredicate::ult, slot, limit);
      if (spec.bounds == Bounds::Count) {
        Value isBeyond = builder.compare(arith::CmpIPredicate::sge, slot, limit);
        count(hasPadding() ? builder.both(isBeyond, isNoPadding(slot)) : isBeyond, isFirst);
      }
    }
    if (hasPadding())
      isValid = builder.both(isValid, isNoPadding(slot));
    builder.ifTrue(isValid, [&] { body(slot); });
  }

private:
  bool hasPadding() const { return spec.paddingSlot >= 0; }
  Value isNoPadding(Value slot) {
    return builder.compare(arith::CmpIPredicate::ne, slot, spec.paddingSlot);
  }
};

class GatherBody : public TokenBody {
public:
  using TokenBody::TokenBody;

  // Another search in another sequence.
  Value getSlotAhead(Value) override { return {}; }

  void forValidRow(Value row, Value isFirst, llvm::function_ref<void(Value)> body) override {
    Value inSequences =
        builder.compare(arith::CmpIPredicate::slt, row, lengthsBefore(operand(Role::Batch)));
    builder.ifTrue(inSequences, [&] {
      Value sequence = findSequence(row);
      Value position = builder.add(builder.sub(row, lengthsBefore(sequence)), startOf(sequence));
      int64_t blockSize = spec.cache.getBlockSize();
      Value page = builder.div(position, blockSize);
      withBlock(sequence, page, isFirst, [&](Value block) {
        Value inBlock = blockSize == 1 ? builder.constant(0) : builder.rem(position, blockSize);
        body(builder.add(builder.mul(block, blockSize), inBlock));
      });
    });
  }

private:
  Value signedNumber(Role role, Value index) {
    return arith::ExtSIOp::create(builder, builder.getI64Type(),
                                  builder.loadInteger(operand(role), 32, index));
  }
  /// Tokens of all sequences before one.
  Value lengthsBefore(Value sequence) { return signedNumber(Role::CuSeqLens, sequence); }

  /// The last sequence that begins at or before `token`: one of no tokens is
  /// never the last.
  Value findSequence(Value token) {
    Type i64 = builder.getI64Type();
    auto search = scf::WhileOp::create(builder, TypeRange{i64, i64},
                                       ValueRange{builder.constant(0), operand(Role::Batch)});
    OpBuilder::InsertionGuard guard(builder);
    SmallVector<Location> locations(2, builder.getLoc());
    Block *before = builder.createBlock(&search.getBefore(), {}, {i64, i64}, locations);
    Value low = before->getArgument(0), high = before->getArgument(1);
    Value goesOn = builder.compare(arith::CmpIPredicate::sgt, builder.sub(high, low), 1);
    scf::ConditionOp::create(builder, goesOn, before->getArguments());
    Block *after = builder.createBlock(&search.getAfter(), {}, {i64, i64}, locations);
    low = after->getArgument(0), high = after->getArgument(1);
    Value middle = builder.div(builder.add(low, high), 2);
    Value begins = builder.compare(arith::CmpIPredicate::sle, lengthsBefore(middle), token);
    Value nextLow = arith::SelectOp::create(builder, begins, middle, low);
    Value nextHigh = arith::SelectOp::create(builder, begins, high, middle);
    scf::YieldOp::create(builder, ValueRange{nextLow, nextHigh});
    return search.getResult(0);
  }

  /// Where a sequence's first token is, or 0 without an array of starts.
  Value startOf(Value sequence) {
    Value starts = operand(Role::SeqStarts);
    Value null = LLVM::ZeroOp::create(builder, starts.getType());
    Value isThere = LLVM::ICmpOp::create(builder, LLVM::ICmpPredicate::ne, starts, null);
    auto choice = scf::IfOp::create(builder, TypeRange{builder.getI64Type()}, isThere,
                                    /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(choice.thenBlock());
    scf::YieldOp::create(builder, signedNumber(Role::SeqStarts, sequence));
    builder.setInsertionPointToStart(choice.elseBlock());
    scf::YieldOp::create(builder, builder.constant(0));
    return choice.getResult(0);
  }

  /// Runs `body` with the block of a page, if table and cache have them.
  void withBlock(Value sequence, Value page, Value isFirst, llvm::function_ref<void(Value)> body) {
    Value columns = operand(Role::BlockTableStride);
    auto lookUp = [&] {
      return signedNumber(Role::BlockTable, builder.add(builder.mul(sequence, columns), page));
    };
    if (spec.bounds == Bounds::Off)
      return body(lookUp());
    // As unsigned numbers what is negative is beyond every limit.
    count(builder.compare(arith::CmpIPredicate::uge, page, columns), isFirst);
    builder.ifTrue(builder.compare(arith::CmpIPredicate::ult, page, columns), [&] {
      Value block = lookUp(), numBlocks = operand(Role::NumBlocks);
      count(builder.compare(arith::CmpIPredicate::uge, block, numBlocks), isFirst);
      builder.ifTrue(builder.compare(arith::CmpIPredicate::ult, block, numBlocks),
                     [&] { body(block); });
    });
  }
};

//===----------------------------------------------------------------------===//
// Whole caches
//===----------------------------------------------------------------------===//

class RecodeBody : public CacheOpBody {
public:
  RecodeBody(CodeBuilder &builder, CacheOpInterface op) : CacheOpBody(builder, op) {
    Type read = getFromCache(spec).getElement(), written = getToCache(spec).getElement();
    bool inPlace = spec.kind == CacheOpKind::Rescale;
    for (auto [index, parts] : llvm::enumerate(getConvertedParts(spec))) {
      const MovedPart &moved = mapping.parts[index];
      scales.push_back(parts.first.scale);
      from.push_back(cacheSide(parts.first, inPlace ? Role::Caches : Role::FromCaches,
                               inPlace ? Role::CacheStrides : Role::FromStrides, read,
                               moved.fromWidth, !inPlace));
      to.push_back(
          cacheSide(parts.second, Role::Caches, Role::CacheStrides, written, moved.toWidth, false));
    }
  }

  Value convert(unsigned part, Value head, Value vector) override {
    Type element = getToCache(spec).getElement();
    unsigned scale = scales[part];
    switch (spec.kind) {
    case CacheOpKind::Convert:
      return quantize(vector, element, scale, head);
    case CacheOpKind::ConvertBack:
      return dequantize(vector, element, scale, head);
    case CacheOpKind::Rescale: {
      Value old = getOperands(op, Role::FromScales)[scale];
      Value values = DequantizeOp::create(builder, like(vector, builder.getF32Type()), vector, old,
                                          ArrayAttr());
      return quantize(values, element, scale, head);
    }
    default:
      return TranscodeOp::create(builder, like(vector, element), vector);
    }
  }
};

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

class QuantizeBody : public CacheOpBody {
public:
  QuantizeBody(CodeBuilder &builder, CacheOpInterface op) : CacheOpBody(builder, op) {
    const MovedPart &moved = mapping.parts.front();
    OperandRange strides = getOperands(op, Role::RowStrides);
    from.push_back(
        std::make_unique<RowSide>(array(operand(Role::Rows), spec.sourceType, moved.width, true),
                                  strides[0], moved.headSize));
    to.push_back(std::make_unique<RowSide>(
        array(operand(Role::OutRows), spec.cache.getElement(), moved.width, false), strides[1],
        moved.headSize));
  }

  Value convert(unsigned, Value head, Value vector) override {
    return quantize(vector, spec.cache.getElement(), 0, head);
  }
};

class ComputeBody : public CacheOpBody {
  /// LLVM's names for the threads of a block, and for those of a device: an AMD chip
  /// may have no instruction for memory that it shares with others.
  std::pair<StringRef, StringRef> getScopes() const {
    switch (spec.chip->backend) {
    case Backend::NVVM:
      return {"block", "device"};
    case Backend::ROCDL:
      return {"workgroup", "agent"};
    case Backend::Host:
      break;
    }
    return {};
  }

public:
  ComputeBody(CodeBuilder &builder, CacheOpInterface op) : CacheOpBody(builder, op) {
    OperandRange rows = getOperands(op, Role::Rows), strides = getOperands(op, Role::RowStrides);
    for (auto [index, moved] : llvm::enumerate(mapping.parts))
      from.push_back(std::make_unique<RowSide>(
          array(rows[index], spec.sourceType, moved.width, true), strides[index], moved.headSize));
  }

  void write(unsigned part, const Place &, Value vector) override {
    // Without their signs float32 numbers are in the order of their bits, NaN above all.
    Type f32 = builder.getF32Type(), i32 = builder.getI32Type();
    if (!spec.sourceType.isF32())
      vector = arith::ExtFOp::create(builder, like(vector, f32), vector);
    Value bits = arith::BitcastOp::create(builder, like(vector, i32), vector);
    auto type = cast<VectorType>(bits.getType());
    Value noSign = arith::ConstantOp::create(
        builder, DenseElementsAttr::get(type, llvm::APInt(32, 0x7fffffff)));
    Value largest = vector::ReductionOp::create(builder, vector::CombiningKind::MAXUI,
                                                builder.both(bits, noSign));
    float constant = cast<ComputeScalesOp>(op.getOperation()).getConstants()[part];
    Value divisor = arith::ConstantOp::create(builder, builder.getF32FloatAttr(constant));
    Value scale =
        arith::DivFOp::create(builder, arith::BitcastOp::create(builder, f32, largest), divisor);
    Value wanted = arith::BitcastOp::create(builder, i32, scale);

    // Few vectors raise the scale; the others only look, in their processor's own
    // cache: all looks at one address in the shared one would wait for each other,
    // and a scale that was raised meanwhile only costs an operation more.
    std::pair<StringRef, StringRef> scopes = getScopes();
    Value pointer = getOperands(op, Role::ComputedScales)[part];
    Value current = LLVM::LoadOp::create(builder, i32, pointer, /*alignment=*/4,
                                         /*isVolatile=*/false, /*isNonTemporal=*/false,
                                         /*isInvariant=*/false, /*isInvariantGroup=*/false,
                                         LLVM::AtomicOrdering::monotonic, scopes.first);
    builder.ifTrue(builder.compare(arith::CmpIPredicate::ugt, wanted, current), [&] {
      LLVM::AtomicRMWOp::create(builder, LLVM::AtomicBinOp::umax, pointer, wanted,
                                LLVM::AtomicOrdering::monotonic, scopes.second);
    });
  }
};

} // namespace

std::unique_ptr<CacheOpBody> kvq::createBody(CodeBuilder &builder, CacheOpInterface op) {
  switch (op.getKind()) {
  case CacheOpKind::Store:
  case CacheOpKind::Load:
    return std::make_unique<SlotBody>(builder, op);
  case CacheOpKind::Gather:
    return std::make_unique<GatherBody>(builder, op);
  case CacheOpKind::Convert:
  case CacheOpKind::ConvertBack:
  case CacheOpKind::TranscodeToOcp:
  case CacheOpKind::TranscodeToFnuz:
  case CacheOpKind::Rescale:
    return std::make_unique<RecodeBody>(builder, op);
  case CacheOpKind::QuantizeQuery:
  case CacheOpKind::QuantizeProb:
    return std::make_unique<QuantizeBody>(builder, op);
  case CacheOpKind::ComputeScales:
    return std::make_unique<ComputeBody>(builder, op);
  }
  llvm_unreachable("all operations are above");
}
