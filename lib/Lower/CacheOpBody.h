//===- CacheOpBody.h - What a cache operation does to its rows --*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_LOWER_CACHEOPBODY_H
#define KVQ_LIB_LOWER_CACHEOPBODY_H

#include "CacheAccess.h"
#include "HeadScales.h"
#include <memory>

namespace kvq {

/// The part of an operation that is its own. LowerCacheOps.cpp walks rows and
/// vectors, by threads or by loops, and has a body build what is done to each.
class CacheOpBody {
public:
  CacheOpBody(CodeBuilder &builder, CacheOpInterface op)
      : builder(builder), op(op), spec(op.getSpec(ScalesMode::Argument)),
        mapping(getThreadMapping(spec)) {}
  virtual ~CacheOpBody() = default;

  const CacheKernelSpec &getSpec() const { return spec; }
  const ThreadMapping &getMapping() const { return mapping; }

  /// How many rows there are, i64.
  virtual mlir::Value getNumRows();

  /// Runs `body` with the place of row `row` in the cache, if the kernel may
  /// touch it. `isFirst` (i1, or null for always) tells the one thread that counts.
  virtual void forValidRow(mlir::Value row, mlir::Value isFirst,
                           llvm::function_ref<void(mlir::Value slot)> body) {
    body(row);
  }

  /// The place in the cache of a row that need not be valid, for fetching ahead;
  /// null where that would take too long.
  virtual mlir::Value getSlotAhead(mlir::Value row) { return row; }

  /// The vector of `width` elements at a place of a part, what becomes of it in
  /// the head `head`, and where that goes.
  mlir::Value read(unsigned part, const Place &place, int64_t width);
  virtual mlir::Value convert(unsigned part, mlir::Value head, mlir::Value vector) {
    return vector;
  }
  virtual void write(unsigned part, const Place &place, mlir::Value vector);
  /// Whether vectors of all parts have one width and become the same.
  bool convertsAlike() const;

  /// The address that `read` reads from.
  mlir::Value getReadAddress(unsigned part, const Place &place) {
    return from[part]->address(builder, place);
  }

protected:
  mlir::Value operand(ArgumentRole role) { return getOperands(op, role).front(); }

  /// An array of the element type, and whether it is read only.
  Side::Array array(mlir::Value base, mlir::Type element, int64_t access, bool isConstant) const;
  /// The part of a cache's arrays under the roles `caches` and `strides`.
  std::unique_ptr<Side> cacheSide(const CachePart &part, ArgumentRole caches, ArgumentRole strides,
                                  mlir::Type element, int64_t access, bool isConstant);

  /// `vector` of head `head` in `element`, with the index-th scale.
  mlir::Value quantize(mlir::Value vector, mlir::Type element, unsigned scale, mlir::Value head);
  mlir::Value dequantize(mlir::Value vector, mlir::Type element, unsigned scale, mlir::Value head);

  CodeBuilder &builder;
  CacheOpInterface op;
  CacheKernelSpec spec;
  ThreadMapping mapping;
  /// The scale of each part; none where an operation has no parts that share one.
  llvm::SmallVector<unsigned, 2> scales;
  /// What each part is read from, and written to where it is only moved.
  llvm::SmallVector<std::unique_ptr<Side>, 3> from, to;

private:
  mlir::ArrayAttr arithmeticOf(unsigned scale);
  /// The index-th scale, if it is per head.
  std::optional<HeadScale> getHeadScale(unsigned scale);
};

/// The body of `op`.
std::unique_ptr<CacheOpBody> createBody(CodeBuilder &builder, CacheOpInterface op);

} // namespace kvq

#endif // KVQ_LIB_LOWER_CACHEOPBODY_H
