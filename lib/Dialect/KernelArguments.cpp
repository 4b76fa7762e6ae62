//===- KernelArguments.cpp - The arguments of cache kernels ---------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Dialect/CacheKernel.h"
#include "kvq/Dialect/Kvq.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace kvq;
using Role = ArgumentRole;

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
    return (unaligned ? 1 : width) * type.getIntOrFloatBitWidth() / 8;
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
    return addCaches(role, "", (readsCache ? spec.cache : getToCache(spec)).getElement(), inCache,
                     !readsCache);
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
  bool hasQueries =
      spec.kind == CacheOpKind::QuantizeQuery || spec.kind == CacheOpKind::ComputeScales;
  if (hasQueries)
    return verifySize(emitError, "heads", spec.heads);
  return success();
}
