//===- CacheAccess.cpp - Elements of rows and caches ----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CacheAccess.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace kvq;

unsigned Side::alignment(int64_t access) const {
  return array.element.getIntOrFloatBitWidth() / 8 * (array.isAligned ? access : 1);
}

Value Side::address(CodeBuilder &builder, const Place &place) const {
  return builder.address(array.base, builder.bitsOf(array.element),
                         offset(builder, place, 0, /*width=*/1));
}

Value Side::load(CodeBuilder &builder, const Place &place, int64_t width) const {
  Type bits = builder.bitsOf(array.element);
  int64_t access = std::min(array.access, width);
  auto accessType = VectorType::get({access}, bits);
  auto loadAt = [&](int64_t extra) -> Value {
    Value from = builder.address(array.base, bits, offset(builder, place, extra, width));
    auto load = LLVM::LoadOp::create(builder, accessType, from, alignment(access));
    load.setInvariant(array.isConstant);
    return load;
  };
  Value vector;
  if (access == width) {
    vector = loadAt(0);
  } else {
    vector =
        arith::ConstantOp::create(builder, builder.getZeroAttr(VectorType::get({width}, bits)));
    for (int64_t extra = 0; extra < width; extra += access)
      vector = vector::InsertStridedSliceOp::create(builder, loadAt(extra), vector,
                                                    ArrayRef<int64_t>{extra}, ArrayRef<int64_t>{1});
  }
  return arith::BitcastOp::create(builder, VectorType::get({width}, array.element), vector);
}

void Side::store(CodeBuilder &builder, const Place &place, Value vector) const {
  Type bits = builder.bitsOf(array.element);
  int64_t width = cast<VectorType>(vector.getType()).getNumElements();
  int64_t access = std::min(array.access, width);
  vector = arith::BitcastOp::create(builder, VectorType::get({width}, bits), vector);
  for (int64_t extra = 0; extra < width; extra += access) {
    Value part = vector;
    if (access != width)
      part = vector::ExtractStridedSliceOp::create(builder, vector, ArrayRef<int64_t>{extra},
                                                   ArrayRef<int64_t>{access}, ArrayRef<int64_t>{1});
    Value to = builder.address(array.base, bits, offset(builder, place, extra, width));
    LLVM::StoreOp::create(builder, part, to, alignment(access));
  }
}

Value RowSide::offset(CodeBuilder &builder, const Place &place, int64_t extra, int64_t) const {
  Value inRow =
      builder.add(builder.mul(builder.extend(place.head), headSize), builder.extend(place.element));
  return builder.add(builder.add(builder.mul(place.row, stride), inRow), extra);
}

Value CacheSide::elementDigit(CodeBuilder &builder, const LayoutDigit &digit, Value element,
                              int64_t extra, int64_t width) const {
  auto digitOf = [&](Value value) {
    Value quotient = builder.div(value, digit.divisor);
    bool isRest = digit.divisor * digit.extent < part.headSize;
    return builder.extend(isRest ? builder.rem(quotient, digit.extent) : quotient);
  };
  // A vector starts at a multiple of its width: most digits are the same for all
  // of it, or the same for every vector.
  if (extra == 0 || digit.divisor % width == 0)
    return digitOf(element);
  if (width % (digit.divisor * digit.extent) == 0)
    return builder.constant(extra / digit.divisor % digit.extent);
  if (width % digit.divisor == 0 && digit.extent % (width / digit.divisor) == 0)
    return builder.add(digitOf(element), extra / digit.divisor);
  return digitOf(builder.add(element, extra));
}

Value CacheSide::offset(CodeBuilder &builder, const Place &place, int64_t extra,
                        int64_t width) const {
  Value block = builder.div(place.slot, blockSize);
  Value row = blockSize == 1 ? builder.constant(0) : builder.rem(place.slot, blockSize);
  Value total = builder.mul(block, strides[0]);
  if (part.isStrided()) {
    total = builder.add(total, builder.mul(row, strides[1]));
    if (strides.size() > 2)
      total = builder.add(total, builder.mul(builder.extend(place.head), strides[2]));
    return builder.add(builder.add(total, builder.extend(place.element)), part.base + extra);
  }
  int64_t constant = part.base;
  for (const LayoutDigit &digit : part.digits) {
    Value value;
    switch (digit.dim) {
    case LayoutDim::Row:
    case LayoutDim::Head: {
      bool isRow = digit.dim == LayoutDim::Row;
      value = builder.div(isRow ? row : place.head, digit.divisor);
      if (digit.divisor * digit.extent < (isRow ? blockSize : part.heads))
        value = builder.rem(value, digit.extent);
      value = builder.extend(value);
      break;
    }
    case LayoutDim::Element:
      value = elementDigit(builder, digit, place.element, extra, width);
      break;
    }
    total = builder.add(total, builder.mul(value, digit.stride));
  }
  return builder.add(total, constant);
}
