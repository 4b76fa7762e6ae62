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
    {CacheOpKind::Store, "kvq.cache_store", Walk::Tokens, kSlotRoles, kCacheScales},
    {CacheOpKind::Load, "kvq.cache_load", Walk::Tokens, kSlotRoles, kCacheScales},
    {CacheOpKind::Gather, "kvq.cache_gather", Walk::Tokens, kGatherRoles, kCacheScales},
    {CacheOpKind::Convert, "kvq.cache_recode", Walk::Blocks, kConvertRoles, kCacheScales},
    {CacheOpKind::ConvertBack, "kvq.cache_recode", Walk::Blocks, kConvertRoles, kCacheScales},
    {CacheOpKind::TranscodeToOcp, "kvq.cache_recode", Walk::Blocks, kConvertRoles, {}},
    {CacheOpKind::TranscodeToFnuz, "kvq.cache_recode", Walk::Blocks, kConvertRoles, {}},
    {CacheOpKind::Rescale, "kvq.cache_recode", Walk::Blocks, kConvertRoles, kCacheScales},
    {CacheOpKind::QuantizeQuery, "kvq.quantize_rows", Walk::Tokens, kQuantizeRoles, kQueryScale},
    {CacheOpKind::QuantizeProb, "kvq.quantize_rows", Walk::Columns, kQuantizeRoles, kProbScale},
    {CacheOpKind::ComputeScales, "kvq.compute_scales", Walk::Tokens, kComputeRoles, {}},
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
  ArrayRef<ArgumentRole> roles = getInfo(op.getKind()).roles;
  const auto *found = llvm::find(roles, role);
  if (found == roles.end())
    return OperandRange(op->operand_end(), op->operand_end());
  return op.getOperandGroup(found - roles.begin());
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

CacheAttr kvq::getFromCache(const CacheKernelSpec &spec) {
  switch (spec.kind) {
  case CacheOpKind::Convert:
    return spec.cache.withElement(spec.sourceType);
  case CacheOpKind::TranscodeToOcp:
    return inFamily(spec.cache, true);
  case CacheOpKind::TranscodeToFnuz:
    return inFamily(spec.cache, false);
  default:
    return spec.cache;
  }
}

CacheAttr kvq::getToCache(const CacheKernelSpec &spec) {
  switch (spec.kind) {
  case CacheOpKind::ConvertBack:
    return spec.cache.withElement(spec.sourceType);
  case CacheOpKind::TranscodeToOcp:
    return inFamily(spec.cache, false);
  case CacheOpKind::TranscodeToFnuz:
    return inFamily(spec.cache, true);
  default:
    return spec.cache;
  }
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
    if (!from.isStrided() && isAlike(from, to)) {
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
  return std::min(getAccessWidth(spec, type, part.getContiguous(), width), unitOf(part.base));
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
  if (getInfo(spec.kind).roles.front() != Role::Rows || spec.cache.getLayout().isMLA() ||
      !llvm::is_contained(getInfo(spec.kind).roles, Role::Caches))
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

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

bool KernelArgument::isStride() const {
  return role == Role::RowStrides || role == Role::FromStrides || role == Role::CacheStrides;
}

namespace {

/// Collects the arguments of a kernel, role by role.
class ArgumentList {
public:
  explicit ArgumentList(const CacheKernelSpec &spec)
      : spec(spec), names(getLayoutNames(spec.cache.getLayout().isMLA())),
        parts(getThreadMapping(spec).parts), unaligned(spec.chip->backend == Backend::Host) {}

  void add(Role role);
  SmallVector<KernelArgument> arguments;

private:
  void pointer(const Twine &name, Role role, bool isWritten, int64_t align) {
    arguments.push_back({name.str(), role, /*isPointer=*/true, isWritten, align});
  }
  void scalar(const Twine &name, Role role, int64_t divisible = 1) {
    arguments.push_back(
        {name.str(), role, /*isPointer=*/false, /*isWritten=*/false, /*align=*/0, divisible});
  }

  /// The rows' names.
  SmallVector<std::string> getRowNames() const;
  void addCaches(Role role, StringRef prefix, Type element, int64_t MovedPart::*width,
                 bool isWritten);
  void addCacheStrides(Role role, StringRef prefix, CacheAttr cache, int64_t MovedPart::*width);

  /// The widest access to the `index`-th cache.
  int64_t getWidth(unsigned index, int64_t MovedPart::*width) const;
  int64_t align(int64_t width, Type type) const {
    return (unaligned ? 1 : width) * byteWidth(type);
  }

  const CacheKernelSpec &spec;
  const LayoutNames &names;
  SmallVector<MovedPart, 2> parts;
  bool unaligned;
};

} // namespace

SmallVector<std::string> ArgumentList::getRowNames() const {
  SmallVector<std::string> rows;
  if (spec.kind == CacheOpKind::QuantizeProb)
    rows = {"prob"};
  else if (spec.kind == CacheOpKind::QuantizeQuery)
    rows = {"query"};
  else {
    if (spec.kind == CacheOpKind::ComputeScales)
      rows = {"query"};
    for (StringRef name : names.rows)
      rows.push_back(name.str());
  }
  return rows;
}

int64_t ArgumentList::getWidth(unsigned index, int64_t MovedPart::*width) const {
  int64_t widest = 1;
  for (auto [part, moved] : llvm::zip_equal(spec.cache.getParts(), parts))
    if (part.cache == index)
      widest = std::max(widest, moved.*width);
  return unaligned ? 1 : widest;
}

void ArgumentList::addCaches(Role role, StringRef prefix, Type element, int64_t MovedPart::*width,
                             bool isWritten) {
  for (auto [index, name] : llvm::enumerate(names.caches))
    pointer(prefix + name, role, isWritten, align(getWidth(index, width), element));
}

void ArgumentList::addCacheStrides(Role role, StringRef prefix, CacheAttr cache,
                                   int64_t MovedPart::*width) {
  constexpr StringLiteral words[] = {"block", "page", "head"};
  ArrayRef<CacheStride> strides = cache.getParts().front().strides;
  for (auto [index, name] : llvm::enumerate(names.prefixes))
    for (CacheStride stride : strides)
      scalar(prefix + name + "_" + words[unsigned(stride)] + "_stride", role,
             getWidth(index, width));
}

void ArgumentList::add(Role role) {
  const CacheOpInfo &info = getInfo(spec.kind);
  bool fromCacheToCache = info.walk == Walk::Blocks;
  bool inPlace = spec.kind == CacheOpKind::Rescale;
  // Of a load the cache is what is read.
  bool readsCache = spec.kind == CacheOpKind::Load || spec.kind == CacheOpKind::Gather;
  int64_t MovedPart::*inCache = readsCache ? &MovedPart::fromWidth : &MovedPart::toWidth;
  constexpr StringLiteral from = "from_";
  SmallVector<ScaleKind> scales = getScaleKinds(spec);

  switch (role) {
  case Role::Rows:
    for (auto [index, name] : llvm::enumerate(getRowNames()))
      pointer(name, role, readsCache, align(parts[index].width, spec.sourceType));
    return;
  case Role::OutRows:
    for (auto [index, name] : llvm::enumerate(getRowNames()))
      pointer(name + "_fp8", role, true, align(parts[index].width, spec.cache.getElement()));
    return;
  case Role::FromCaches:
    if (!inPlace)
      addCaches(role, from, getFromCache(spec).getElement(), &MovedPart::fromWidth, false);
    return;
  case Role::Caches:
    return addCaches(role, "",
                     fromCacheToCache ? getToCache(spec).getElement() : spec.cache.getElement(),
                     inCache, !readsCache);
  case Role::SlotMapping:
    return pointer("slot_mapping", role, false, spec.slotType == SlotType::I64 ? 8 : 4);
  case Role::BlockTable:
    return pointer("block_table", role, false, sizeof(int32_t));
  case Role::CuSeqLens:
    return pointer("cu_seq_lens", role, false, sizeof(int32_t));
  case Role::SeqStarts:
    return pointer("seq_starts", role, false, sizeof(int32_t));
  case Role::Batch:
    return scalar("batch", role);
  case Role::NumTokens:
    return scalar(info.walk == Walk::Columns ? "num_rows" : "num_tokens", role);
  case Role::NumColumns:
    if (info.walk == Walk::Columns)
      scalar("num_columns", role);
    return;
  case Role::NumBlocks:
    return scalar("num_blocks", role);
  case Role::BlockTableStride:
    return scalar("block_table_stride", role);
  case Role::RowStrides:
    for (auto [index, name] : llvm::enumerate(getRowNames())) {
      int64_t width = unaligned ? 1 : parts[index].width;
      scalar(name + "_stride", role, width);
      if (llvm::is_contained(info.roles, Role::OutRows))
        scalar(name + "_fp8_stride", role, width);
    }
    return;
  case Role::FromStrides:
    if (!inPlace)
      addCacheStrides(role, from, getFromCache(spec), &MovedPart::fromWidth);
    return;
  case Role::CacheStrides:
    return addCacheStrides(role, "", spec.cache, inCache);
  case Role::OutOfRange:
    if (spec.bounds == Bounds::Count)
      pointer("out_of_range", role, true, sizeof(uint64_t));
    return;
  case Role::FromScales:
    if (inPlace)
      for (ScaleKind kind : scales)
        pointer(from + stringify(kind) + "_scale", role, false, sizeof(float));
    return;
  case Role::Scales:
    if (spec.scales == ScalesMode::Argument)
      for (ScaleKind kind : scales)
        pointer(stringify(kind) + "_scale", role, false, sizeof(float));
    return;
  case Role::ComputedScales:
    for (ScaleKind kind : {ScaleKind::Q, ScaleKind::K, ScaleKind::V})
      pointer(stringify(kind) + "_scale", role, true, sizeof(float));
    return;
  }
}

SmallVector<KernelArgument> kvq::getKernelArguments(const CacheKernelSpec &spec) {
  ArgumentList list(spec);
  for (ArgumentRole role : getInfo(spec.kind).roles)
    list.add(role);
  return std::move(list.arguments);
}

LogicalResult kvq::verifySpec(function_ref<InFlightDiagnostic()> emitError,
                              const CacheKernelSpec &spec) {
  if (!getSourceType(spec.sourceType))
    return emitError() << "expected the source type to be one of " << listNames<SourceType>()
                       << ", but got " << spec.sourceType;
  CacheAttr cache = spec.cache;
  if (!cache.getFp8Format() && cache.getElement() != spec.sourceType)
    return emitError() << "expected the cache to hold an FP8 format or the source type "
                       << spec.sourceType << ", but got " << cache.getElement();
  bool copies = spec.kind == CacheOpKind::Store || spec.kind == CacheOpKind::Load ||
                spec.kind == CacheOpKind::Gather;
  if (!cache.getFp8Format() && !copies)
    return emitError() << "expected an FP8 cache for '" << stringify(spec.kind) << "', but got "
                       << cache.getElement();
  return success();
}
