//===- CacheKernel.cpp - What a cache operation needs of its kernel -------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Dialect/CacheKernel.h"
#include "kvq/Dialect/Kvq.h"
#include "kvq/Numerics/Formats.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace kvq;

//===----------------------------------------------------------------------===//
// The operations
//===----------------------------------------------------------------------===//

using Role = ArgumentRole;

static constexpr Role kSlotRoles[] = {Role::Rows,         Role::Caches,     Role::SlotMapping,
                                      Role::NumTokens,    Role::NumBlocks,  Role::RowStrides,
                                      Role::CacheStrides, Role::OutOfRange, Role::Scales};
static constexpr Role kGatherRoles[] = {
    Role::Rows,       Role::Caches,       Role::BlockTable,
    Role::CuSeqLens,  Role::SeqStarts,    Role::Batch,
    Role::NumTokens,  Role::NumBlocks,    Role::BlockTableStride,
    Role::RowStrides, Role::CacheStrides, Role::OutOfRange,
    Role::Scales};
static constexpr Role kConvertRoles[] = {Role::FromCaches,  Role::Caches,       Role::NumBlocks,
                                         Role::FromStrides, Role::CacheStrides, Role::FromScales,
                                         Role::Scales};
static constexpr Role kQuantizeRoles[] = {Role::Rows,       Role::OutRows,    Role::NumTokens,
                                          Role::NumColumns, Role::RowStrides, Role::Scales};
static constexpr Role kComputeRoles[] = {Role::Rows, Role::NumTokens, Role::RowStrides,
                                         Role::ComputedScales};

static constexpr ScaleKind kCacheScales[] = {ScaleKind::K, ScaleKind::V};
static constexpr ScaleKind kQueryScale[] = {ScaleKind::Q};
static constexpr ScaleKind kProbScale[] = {ScaleKind::Prob};

// In the order of CacheOpKind.
static constexpr CacheOpInfo kInfos[] = {
    {CacheOpKind::Store, "kvq.cache_store", Walk::Tokens, Held::Source, Held::Cache, kSlotRoles,
     kCacheScales},
    {CacheOpKind::Load, "kvq.cache_load", Walk::Tokens, Held::Cache, Held::Source, kSlotRoles,
     kCacheScales},
    {CacheOpKind::Gather, "kvq.cache_gather", Walk::Tokens, Held::Cache, Held::Source, kGatherRoles,
     kCacheScales},
    {CacheOpKind::Convert, "kvq.cache_recode", Walk::Blocks, Held::Source, Held::Cache,
     kConvertRoles, kCacheScales},
    {CacheOpKind::ConvertBack, "kvq.cache_recode", Walk::Blocks, Held::Cache, Held::Source,
     kConvertRoles, kCacheScales},
    {CacheOpKind::TranscodeToOcp,
     "kvq.cache_recode",
     Walk::Blocks,
     Held::Fnuz,
     Held::Ocp,
     kConvertRoles,
     {}},
    {CacheOpKind::TranscodeToFnuz,
     "kvq.cache_recode",
     Walk::Blocks,
     Held::Ocp,
     Held::Fnuz,
     kConvertRoles,
     {}},
    {CacheOpKind::Rescale, "kvq.cache_recode", Walk::Blocks, Held::Cache, Held::Cache,
     kConvertRoles, kCacheScales},
    {CacheOpKind::QuantizeQuery, "kvq.quantize_rows", Walk::Tokens, Held::Source, Held::Cache,
     kQuantizeRoles, kQueryScale},
    {CacheOpKind::QuantizeProb, "kvq.quantize_rows", Walk::Columns, Held::Source, Held::Cache,
     kQuantizeRoles, kProbScale},
    {CacheOpKind::ComputeScales,
     "kvq.compute_scales",
     Walk::Tokens,
     Held::Source,
     Held::Source,
     kComputeRoles,
     {}},
};

const CacheOpInfo &kvq::getInfo(CacheOpKind kind) { return kInfos[unsigned(kind)]; }

SmallVector<ScaleKind> kvq::getScaleKinds(const CacheKernelSpec &spec) {
  SmallVector<ScaleKind> kinds;
  if (!spec.cache.getFp8Format())
    return kinds;
  for (ScaleKind kind : getInfo(spec.kind).scales)
    if (kind != ScaleKind::V || !spec.cache.getLayout().isMLA())
      kinds.push_back(kind);
  return kinds;
}

OperandRange kvq::getOperands(CacheOpInterface op, ArgumentRole role) {
  // An op that has not been verified may be of a kind that is another op's.
  const CacheOpInfo &info = getInfo(op.getKind());
  const auto *found = llvm::find(info.roles, role);
  if (found == info.roles.end() || info.opName != op->getName().getStringRef())
    return OperandRange(op->operand_end(), op->operand_end());
  return op.getOperandGroup(found - info.roles.begin());
}

//===----------------------------------------------------------------------===//
// The two sides
//===----------------------------------------------------------------------===//

/// The cache in the OCP or the fnuz form of its format.
static CacheAttr inFamily(CacheAttr cache, bool fnuz) {
  const Fp8Info &info = getInfo(*cache.getFp8Format());
  Fp8Format format = info.isFnuz() == fnuz ? info.format : info.partner;
  return cache.withElement(getType(cache.getContext(), format));
}

static CacheAttr getHeld(const CacheKernelSpec &spec, Held held) {
  switch (held) {
  case Held::Source:
    return spec.cache.withElement(spec.sourceType);
  case Held::Cache:
    return spec.cache;
  case Held::Ocp:
  case Held::Fnuz:
    return inFamily(spec.cache, held == Held::Fnuz);
  }
  llvm_unreachable("all that a side holds is above");
}

CacheAttr kvq::getFromCache(const CacheKernelSpec &spec) {
  return getHeld(spec, getInfo(spec.kind).from);
}

CacheAttr kvq::getToCache(const CacheKernelSpec &spec) {
  return getHeld(spec, getInfo(spec.kind).to);
}

bool kvq::isQuantizing(CacheOpKind kind) { return getInfo(kind).to == Held::Cache; }

Type kvq::getWideElementType(const CacheKernelSpec &spec) {
  const CacheOpInfo &info = getInfo(spec.kind);
  // A value on its way from codes to codes is a float32.
  if (info.from == Held::Source || info.to == Held::Source)
    return spec.sourceType;
  return Float32Type::get(spec.sourceType.getContext());
}

static bool isAlike(const CachePart &a, const CachePart &b) {
  auto same = [](const LayoutDigit &x, const LayoutDigit &y) {
    return x.dim == y.dim && x.divisor == y.divisor && x.extent == y.extent;
  };
  return llvm::equal(a.digits, b.digits, same) && a.base == b.base;
}

/// The part with its elements in the order in which they lie.
static void makeOneRun(CachePart &part, int64_t blockSize) {
  part.headSize *= part.heads;
  part.heads = 1;
  part.digits.clear();
  if (blockSize != 1)
    part.digits.push_back({LayoutDim::Row, 1, blockSize, part.headSize});
  part.digits.push_back({LayoutDim::Element, 1, part.headSize, 1});
}

SmallVector<std::pair<CachePart, CachePart>, 2>
kvq::getConvertedParts(const CacheKernelSpec &spec) {
  SmallVector<std::pair<CachePart, CachePart>, 2> pairs;
  for (auto [from, to] :
       llvm::zip_equal(getFromCache(spec).getParts(), getToCache(spec).getParts())) {
    if (!spec.perHead && !from.isStrided() && isAlike(from, to)) {
      makeOneRun(from, spec.cache.getBlockSize());
      makeOneRun(to, spec.cache.getBlockSize());
    }
    pairs.emplace_back(from, to);
  }
  return pairs;
}

//===----------------------------------------------------------------------===//
// Widths of accesses
//===----------------------------------------------------------------------===//

/// Bytes of an element.
static int64_t byteWidth(Type type) { return type.getIntOrFloatBitWidth() / 8; }

/// The largest power of two that divides a number; of 0 that is any.
static int64_t unitOf(int64_t number) { return number == 0 ? int64_t(1) << 62 : number & -number; }

/// The bytes that one access may have. x86 and AArch64 read unaligned vectors at
/// full speed; GPUs fault on them.
static int64_t getAccessBytes(const CacheKernelSpec &spec) {
  int64_t widest = spec.chip->maxAccessBytes;
  return spec.chip->backend == Backend::Host ? widest : std::min(widest, spec.cache.getAlign());
}

/// The elements of `type` in one access where `run` of them lie side by side.
static int64_t getAccessWidth(const CacheKernelSpec &spec, Type type, int64_t run, int64_t width) {
  int64_t most = std::max<int64_t>(1, getAccessBytes(spec) / byteWidth(type));
  return std::min({width, unitOf(run), most});
}

static int64_t getAccessWidth(const CacheKernelSpec &spec, Type type, const CachePart &part,
                              int64_t width) {
  return std::min({getAccessWidth(spec, type, part.getContiguous(), width), unitOf(part.base),
                   unitOf(part.compactStride)});
}

/// The elements that a thread moves: what the wider side can at once, within a
/// head.
static int64_t getVectorWidth(const CacheKernelSpec &spec, Type from, Type to, int64_t headSize) {
  int64_t widest = std::max(byteWidth(from), byteWidth(to));
  return std::min(std::max<int64_t>(1, getAccessBytes(spec) / widest), unitOf(headSize));
}

static SmallVector<MovedPart, 2> getMovedParts(const CacheKernelSpec &spec) {
  SmallVector<MovedPart, 2> parts;
  Type source = spec.sourceType, element = spec.cache.getElement();
  auto rows = [&](int64_t heads, int64_t headSize, Type to) {
    int64_t width = getVectorWidth(spec, source, to, headSize);
    parts.push_back({heads, headSize, width, width, width});
  };
  switch (spec.kind) {
  case CacheOpKind::Store:
  case CacheOpKind::Load:
  case CacheOpKind::Gather:
    for (const CachePart &part : spec.cache.getParts()) {
      int64_t width = getVectorWidth(spec, source, element, part.headSize);
      int64_t inCache = getAccessWidth(spec, element, part, width);
      bool stores = spec.kind == CacheOpKind::Store;
      parts.push_back(
          {part.heads, part.headSize, width, stores ? width : inCache, stores ? inCache : width});
    }
    break;
  case CacheOpKind::Convert:
  case CacheOpKind::ConvertBack:
  case CacheOpKind::TranscodeToOcp:
  case CacheOpKind::TranscodeToFnuz:
  case CacheOpKind::Rescale: {
    Type from = getFromCache(spec).getElement(), to = getToCache(spec).getElement();
    for (const auto &[read, written] : getConvertedParts(spec)) {
      int64_t width = getVectorWidth(spec, from, to, read.headSize);
      parts.push_back({read.heads, read.headSize, width, getAccessWidth(spec, from, read, width),
                       getAccessWidth(spec, to, written, width)});
    }
    break;
  }
  case CacheOpKind::QuantizeQuery:
    rows(spec.heads, spec.cache.getHeadSize(), element);
    break;
  case CacheOpKind::QuantizeProb:
    // As many columns as there are; what a thread moves is all that is known.
    rows(1, int64_t(1) << 20, element);
    break;
  case CacheOpKind::ComputeScales:
    rows(spec.heads, spec.cache.getHeadSize(), source);
    for (const CachePart &part : spec.cache.getParts())
      rows(part.heads, part.headSize, source);
    break;
  }
  return parts;
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

/// Whether neighbours in the cache are neighbouring rows.
static bool hasRowsBeside(const CacheKernelSpec &spec) {
  ArrayRef<Role> roles = getInfo(spec.kind).roles;
  if (!llvm::is_contained(roles, Role::Rows) || !llvm::is_contained(roles, Role::Caches))
    return false;
  constexpr int64_t oneAccess = 16;
  int64_t width = oneAccess / byteWidth(spec.cache.getElement());
  return llvm::all_of(spec.cache.getParts(),
                      [&](const CachePart &part) { return part.hasRowsBeside(width); });
}

ThreadMapping kvq::getThreadMapping(const CacheKernelSpec &spec) {
  ThreadMapping mapping;
  mapping.parts = getMovedParts(spec);
  const MovedPart &first = mapping.parts.front();
  mapping.together = llvm::all_of(mapping.parts, [&](const MovedPart &part) {
    return part.heads == first.heads && part.headSize == first.headSize &&
           part.width == first.width;
  });
  mapping.vectorsPerRow = 0;
  for (const MovedPart &part : mapping.parts)
    mapping.vectorsPerRow += part.getVectors();
  if (mapping.together)
    mapping.vectorsPerRow = first.getVectors();
  mapping.rowsFirst = hasRowsBeside(spec);

  // Several rows share a block until it has some 256 threads; a row too long for
  // one block has several.
  constexpr int64_t usual = 256, longest = 1024, several = 512, mostRows = 32;
  int64_t vectors = mapping.vectorsPerRow;
  if (getInfo(spec.kind).walk == Walk::Columns) {
    mapping.rowsPerBlock = 1;
    mapping.vectorsPerBlock = usual;
  } else if (mapping.rowsFirst) {
    mapping.rowsPerBlock =
        std::min(mostRows, int64_t(llvm::bit_floor(uint64_t(spec.cache.getBlockSize()))));
    mapping.vectorsPerBlock = std::min(vectors, usual / mapping.rowsPerBlock);
  } else {
    mapping.rowsPerBlock = std::max<int64_t>(1, usual / vectors);
    mapping.vectorsPerBlock = vectors <= longest ? vectors : several;
  }
  mapping.blockSize = spec.chip->backend == Backend::Host
                          ? 1
                          : int64_t(llvm::alignTo(mapping.rowsPerBlock * mapping.vectorsPerBlock,
                                                  spec.chip->waveSize));
  return mapping;
}
