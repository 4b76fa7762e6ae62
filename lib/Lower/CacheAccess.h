//===- CacheAccess.h - Elements of rows and caches --------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_LOWER_CACHEACCESS_H
#define KVQ_LIB_LOWER_CACHEACCESS_H

#include "CodeBuilder.h"
#include "kvq/Dialect/Layout.h"

namespace kvq {

/// The first element of a vector: element `element` of head `head` of row `row`,
/// whose row of the cache is `slot`. Head and element may be i32.
struct Place {
  mlir::Value row, slot, head, element;
};

/// An array that vectors are moved from or to.
class Side {
public:
  virtual ~Side() = default;

  /// The `width` elements at `place`, as a vector of the array's element type.
  mlir::Value load(CodeBuilder &builder, const Place &place, int64_t width) const;
  void store(CodeBuilder &builder, const Place &place, mlir::Value vector) const;

  /// The address of the element at `place`.
  mlir::Value address(CodeBuilder &builder, const Place &place) const;

  struct Array {
    mlir::Value base;
    mlir::Type element;
    /// Elements of one access, and whether its address has their alignment.
    int64_t access;
    bool isAligned;
    /// Whether the kernel only reads it.
    bool isConstant;
  };

protected:
  explicit Side(const Array &array) : array(array) {}

  /// Where the element `extra` beyond `place` lies, in elements. `place` is at a
  /// multiple of `width` elements of its head, and `extra` below it.
  virtual mlir::Value offset(CodeBuilder &builder, const Place &place, int64_t extra,
                             int64_t width) const = 0;

private:
  unsigned alignment(int64_t access) const;

  Array array;
};

/// Rows of compact heads, `stride` elements apart.
class RowSide : public Side {
public:
  RowSide(const Array &array, mlir::Value stride, int64_t headSize)
      : Side(array), stride(stride), headSize(headSize) {}

protected:
  mlir::Value offset(CodeBuilder &builder, const Place &place, int64_t extra,
                     int64_t width) const override;

private:
  mlir::Value stride;
  int64_t headSize;
};

/// A part of a cache whose blocks have `blockSize` rows.
class CacheSide : public Side {
public:
  CacheSide(const Array &array, CachePart part, mlir::ValueRange strides, int64_t blockSize)
      : Side(array), part(std::move(part)), strides(strides.begin(), strides.end()),
        blockSize(blockSize) {}

protected:
  mlir::Value offset(CodeBuilder &builder, const Place &place, int64_t extra,
                     int64_t width) const override;

private:
  /// A digit of the element `extra` beyond `element`.
  mlir::Value elementDigit(CodeBuilder &builder, const LayoutDigit &digit, mlir::Value element,
                           int64_t extra, int64_t width) const;

  CachePart part;
  llvm::SmallVector<mlir::Value, 3> strides;
  int64_t blockSize;
};

} // namespace kvq

#endif // KVQ_LIB_LOWER_CACHEACCESS_H
