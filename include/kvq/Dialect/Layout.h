//===- Layout.h - Where elements lie inside a block -------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DIALECT_LAYOUT_H
#define KVQ_DIALECT_LAYOUT_H

#include "kvq/Support/Names.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <array>

namespace kvq {

/// The dimensions that a layout's map takes, in their order.
enum class LayoutDim : unsigned { Row, Head, Element };

/// The sizes of the three dimensions, by LayoutDim.
using LayoutSizes = std::array<int64_t, 3>;

/// One dimension of a block: the values (dim floordiv divisor) mod extent, which
/// lie `stride` elements apart.
struct LayoutDigit {
  LayoutDim dim;
  int64_t divisor, extent, stride;
};

/// Strides that are arguments of a kernel, outermost first.
enum class CacheStride { Block, Page, Head };

/// One of the two arrays of a cache's tokens: K or V, or the latent or the rope
/// part of a row that has both.
struct CachePart {
  /// Which array of rows and which cache hold it, and which scale it has.
  unsigned rows, cache, scale;
  /// Heads of a row and elements of a head.
  int64_t heads, headSize;
  /// Elements from a block's start to the part's first.
  int64_t base;
  /// What the strides of a compact cache are multiples of, in elements.
  int64_t compactStride;
  /// The strides that its cache has as arguments. Those of the dimensions
  /// without one are in `digits`.
  llvm::ArrayRef<CacheStride> strides;
  /// A block's dimensions, outermost first; neighbours of one dimension that
  /// are one run are one digit.
  llvm::SmallVector<LayoutDigit, 4> digits;

  /// Whether rows and heads have strides of their own.
  bool isStrided() const { return strides.size() > 1; }
  /// How many neighbouring elements of a head lie side by side.
  int64_t getContiguous() const;
  /// Whether what lies beside `width` elements of a head is the same place of
  /// the next row (and not more of the same row).
  bool hasRowsBeside(int64_t width) const;
};

/// What a layout calls its arrays, in manifests and headers.
struct LayoutNames {
  /// Arrays of rows, caches, and what strides of the caches begin with.
  llvm::ArrayRef<llvm::StringLiteral> rows, caches, prefixes;
};

/// The names of a layout with K and V, or of one with latent rows.
const LayoutNames &getLayoutNames(bool isMLA);

} // namespace kvq

#endif // KVQ_DIALECT_LAYOUT_H
