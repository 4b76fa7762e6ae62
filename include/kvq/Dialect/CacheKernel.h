//===- CacheKernel.h - What a cache operation needs of its kernel -*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DIALECT_CACHEKERNEL_H
#define KVQ_DIALECT_CACHEKERNEL_H

#include "kvq/Dialect/KvqAttributes.h"
#include "kvq/Support/Names.h"
#include "mlir/IR/ValueRange.h"

namespace kvq {

class CacheOpInterface;
struct ChipInfo;

/// What an argument is to its operation, in the order of a kernel's arguments.
/// A cache op has an operand group for each role of its kind, in this order.
enum class ArgumentRole {
  Rows,
  OutRows,
  FromCaches,
  Caches,
  SlotMapping,
  BlockTable,
  CuSeqLens,
  SeqStarts,
  Batch,
  NumTokens,
  NumColumns,
  NumBlocks,
  BlockTableStride,
  RowStrides,
  FromStrides,
  CacheStrides,
  OutOfRange,
  FromScales,
  Scales,
  ComputedScales,
};

/// One argument of a cache operation's kernel.
struct KernelArgument {
  /// The name in manifests and headers.
  std::string name;
  ArgumentRole role;
  /// A pointer to global memory; otherwise an i64.
  bool isPointer;
  /// Whether the kernel writes through the pointer.
  bool isWritten = false;
  /// The alignment that a pointer needs, in bytes; 0 for scalars.
  int64_t align = 0;
  /// What a stride must be a multiple of, in elements; 1 for other scalars.
  int64_t divisible = 1;

  /// Whether it is a stride, in elements.
  bool isStride() const;
};

/// A kernel as it is asked for; an op gives the spec that it was made from.
struct CacheKernelSpec {
  CacheOpKind kind = CacheOpKind::Store;
  const ChipInfo *chip = nullptr;
  /// bf16, f16 or f32: what rows hold.
  mlir::Type sourceType;
  /// The cache that is worked on; of `convert_back` the one that is read. For
  /// operations on rows, what tells their geometry and FP8 type.
  CacheAttr cache;
  Bounds bounds = Bounds::Check;
  ScalesMode scales = ScalesMode::Fold;
  /// Whether a scale is one for each KV head, so that heads have to be told apart.
  bool perHead = false;
  SlotType slotType = SlotType::I64;
  /// A slot that is skipped as the negative ones are; negative for no other.
  int64_t paddingSlot = -1;
  /// Query heads of a rank, for operations on queries; else 0.
  int64_t heads = 0;
  /// Of `compute_scales`, what maxima of q, k and v are divided by.
  llvm::SmallVector<float, 3> constants;
};

/// Whether rows or caches lie in memory as the operation walks them.
enum class Walk {
  /// Tokens: rows, by slots or block tables.
  Tokens,
  /// Every row of every block.
  Blocks,
  /// Rows of as many columns as an argument says.
  Columns,
};

/// What one side of an operation holds.
enum class Held {
  /// The source type.
  Source,
  /// What the spec's cache holds.
  Cache,
  /// The cache's FP8 format, or its partner, in the OCP or the fnuz form.
  Ocp,
  Fnuz,
};

/// The facts of an operation.
struct CacheOpInfo {
  CacheOpKind kind;
  /// The op of the dialect.
  llvm::StringLiteral opName;
  Walk walk;
  /// What it reads and what it writes.
  Held from, to;
  /// The op's operand groups, in order.
  llvm::ArrayRef<ArgumentRole> roles;
  /// The scales that it is given, in the operands' order; of a layout without V
  /// only K's.
  llvm::ArrayRef<ScaleKind> scales;
};

const CacheOpInfo &getInfo(CacheOpKind kind);

/// The scales of a kernel; none where nothing is converted.
llvm::SmallVector<ScaleKind> getScaleKinds(const CacheKernelSpec &spec);

/// A part of what is moved, as threads and loops walk it: `heads` times
/// `headSize` elements of a row, `width` at a time.
struct MovedPart {
  int64_t heads, headSize;
  /// Elements that one thread moves.
  int64_t width;
  /// Neighbouring elements in one access to what is read, and to what is
  /// written; both divide `width`.
  int64_t fromWidth, toWidth;

  int64_t getVectors() const { return heads * headSize / width; }
};

/// How the work of a kernel is shared. On a GPU a thread moves one vector of one
/// row; which one follows from the layout's maps.
struct ThreadMapping {
  llvm::SmallVector<MovedPart, 2> parts;
  /// Whether a thread moves the same vector of all parts, which are alike;
  /// otherwise each part has threads of its own.
  bool together;
  /// Vectors of a row, of all parts with threads of their own.
  int64_t vectorsPerRow;
  /// Rows and vectors of a row that one thread block works on. A row of more
  /// vectors has several blocks.
  int64_t rowsPerBlock, vectorsPerBlock;
  /// Whether neighbouring threads have neighbouring rows (and not vectors).
  bool rowsFirst;
  /// Threads of a block.
  int64_t blockSize;

  int64_t getBlocksPerRow() const { return (vectorsPerRow - 1) / vectorsPerBlock + 1; }
};

/// The arguments of a kernel, in the contract's order.
llvm::SmallVector<KernelArgument> getKernelArguments(const CacheKernelSpec &spec);

/// How its work is shared.
ThreadMapping getThreadMapping(const CacheKernelSpec &spec);

/// The caches that an operation reads and writes, of their element types; rows
/// instead of caches give the cache on the other side. `rescale` works in place.
CacheAttr getFromCache(const CacheKernelSpec &spec);
CacheAttr getToCache(const CacheKernelSpec &spec);

/// The parts of the two sides of an operation from cache to cache. Where both
/// keep a part alike it is taken as one run, in the order in which it lies, unless
/// scales are per head.
llvm::SmallVector<std::pair<CachePart, CachePart>, 2>
getConvertedParts(const CacheKernelSpec &spec);

/// Whether an operation divides by its scales as it makes FP8 codes (and does not
/// multiply with them), and the type that it makes them from, or makes of them.
bool isQuantizing(CacheOpKind kind);
mlir::Type getWideElementType(const CacheKernelSpec &spec);

/// The operands of `op` that have a role; none if its kind has no such role.
mlir::OperandRange getOperands(CacheOpInterface op, ArgumentRole role);

/// Whether `cache` and `spec` allow the operation; an error says why not.
mlir::LogicalResult verifySpec(llvm::function_ref<mlir::InFlightDiagnostic()> emitError,
                               const CacheKernelSpec &spec);

} // namespace kvq

#endif // KVQ_DIALECT_CACHEKERNEL_H
