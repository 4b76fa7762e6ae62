//===- CacheKernel.h - What a cache operation needs of its kernel -*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DIALECT_CACHEKERNEL_H
#define KVQ_DIALECT_CACHEKERNEL_H

#include "kvq/Support/Names.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>

namespace mlir {
class Type;
} // namespace mlir

namespace kvq {

class CacheAttr;
struct ChipInfo;

/// What an argument is to its operation; the operand segments of the cache ops
/// have the same order.
enum class ArgumentRole {
  Rows,
  Caches,
  SlotMapping,
  NumTokens,
  NumBlocks,
  RowStrides,
  CacheStrides,
  OutOfRange,
  Scales,
};

/// One argument of a cache operation's kernel.
struct KernelArgument {
  /// The name in manifests and headers.
  llvm::StringRef name;
  ArgumentRole role;
  /// A pointer to global memory; otherwise an i64.
  bool isPointer;
  /// Whether the kernel writes through the pointer.
  bool isWritten = false;
  /// The alignment that a pointer needs, in bytes; 0 for scalars.
  int64_t align = 0;
  /// What a stride must be a multiple of, in elements; 1 for other scalars.
  int64_t divisible = 1;
};

/// How the threads of a GPU share a cache operation, derived from the layout's
/// map. A thread moves `vectorWidth` neighbouring elements of K and of V at a
/// time; the `vectorsPerRow` vectors of a token lie with neighbouring threads.
struct ThreadMapping {
  /// Elements that one thread moves in one access on either side.
  int64_t vectorWidth;
  /// Vectors that make up one token's row of K.
  int64_t vectorsPerRow;
  /// Tokens that one thread block works on; the grid has
  /// ceil(num_tokens / tokensPerBlock) blocks.
  int64_t tokensPerBlock;
  /// Threads of a block.
  int64_t blockSize;
};

/// A kernel as it is asked for, before its op exists.
struct CacheKernelSpec {
  CacheOpKind kind;
  const ChipInfo &chip;
  Bounds bounds;
  ScalesMode scales;
};

/// The arguments of the kernel of an operation on `cache` with rows of
/// `sourceType`, in the contract's order.
llvm::SmallVector<KernelArgument> getKernelArguments(const CacheKernelSpec &spec, CacheAttr cache,
                                                     mlir::Type sourceType);

/// The thread mapping of such a kernel.
ThreadMapping getThreadMapping(const ChipInfo &chip, CacheAttr cache, mlir::Type sourceType);

} // namespace kvq

#endif // KVQ_DIALECT_CACHEKERNEL_H
