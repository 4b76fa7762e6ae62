//===- TensorArgument.cpp - What a kernel's tensors have to be ------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorArgument.h"
#include <algorithm>
#include <string_view>

using namespace kvq::python;
using namespace kvq::python::dlpack;

using Shapes = std::vector<std::vector<int64_t>>;

//===----------------------------------------------------------------------===//
// From a manifest's words
//===----------------------------------------------------------------------===//

static constexpr DataType kBytes = {UInt, 8, 1}, kInt32 = {Int, 32, 1}, kInt64 = {Int, 64, 1},
                          kUInt64 = {UInt, 64, 1}, kFloat32 = {Float, 32, 1};

static bool hasSuffix(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

static bool hasPrefix(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

/// A type by the word of a manifest.
static DataType getType(std::string_view word) {
  if (word == "bf16")
    return {BFloat, 16, 1};
  if (word == "f16")
    return {Float, 16, 1};
  if (word == "f32")
    return kFloat32;
  uint8_t code = hasPrefix(word, "f8E5M2") ? Float8E5M2 : Float8E4M3FN;
  return {uint8_t(hasSuffix(word, "UZ") ? code + 1 : code), 8, 1};
}

/// An FP8 type in its OCP or its fnuz form; in DLPack each stands before its
/// partner.
static DataType inFamily(DataType type, bool fnuz) {
  bool isFnuz = type.code == Float8E4M3FNUZ || type.code == Float8E5M2FNUZ;
  type.code = uint8_t(type.code - isFnuz + fnuz);
  return type;
}

/// What a cache of an operation holds, by whether it is the one that is read from.
static DataType getCacheType(std::string_view op, bool isFrom, const kvq_kernel_info &info) {
  DataType cache = getType(info.cache_type), source = getType(info.source_type);
  if (op == "convert")
    return isFrom ? source : cache;
  if (op == "convert_back")
    return isFrom ? cache : source;
  if (op == "transcode_to_ocp")
    return inFamily(cache, isFrom);
  if (op == "transcode_to_fnuz")
    return inFamily(cache, !isFrom);
  return cache;
}

int kvq::python::getStrideDimension(const std::string &layout, const std::string &stride) {
  if (stride == "block")
    return 0;
  return (layout == "hnd") == (stride == "head") ? 1 : 2;
}

/// The shapes of a block of a cache, `value` or not, whose elements are `type`.
static Shapes getBlockShapes(bool value, DataType type, const kvq_kernel_info &info) {
  int64_t heads = info.num_kv_heads, size = info.head_size, rows = info.block_size;
  int64_t x = 16 * 8 / type.bits;
  std::string_view layout = info.layout;
  if (layout == "nhd")
    return {{rows, heads, size}};
  if (layout == "hnd")
    return {{heads, rows, size}};
  if (layout == "mla")
    return {{rows, size}};
  Shapes shapes;
  if (layout == "mla_segmented")
    shapes.push_back({rows, size});
  bool isPaged = layout == "paged", isInterleaved = layout == "paged_interleaved";
  if ((isPaged || isInterleaved) && !value)
    shapes.push_back({heads, size / x, rows, x});
  if (isPaged && value)
    shapes.push_back({heads, size, rows});
  if (isInterleaved && value)
    shapes.push_back({heads, rows / x, size, x});
  shapes.push_back({heads * size * rows});
  return shapes;
}

static bool isStrided(std::string_view layout) {
  return layout == "nhd" || layout == "hnd" || layout == "mla";
}

std::optional<TensorArgument> TensorArgument::make(const kvq_argument_info &argument, size_t index,
                                                   const kvq_kernel_info &info) {
  TensorArgument result;
  result.name = argument.name;
  result.index = index;
  result.isNullable = argument.nullable;
  std::string_view name = result.name, op = info.op;
  bool readsCache = op == "load" || op == "gather";
  DataType source = getType(info.source_type);

  if (hasSuffix(name, "_cache")) {
    bool isFrom = hasPrefix(name, "from_");
    DataType type = getCacheType(op, isFrom, info);
    result.role = isStrided(info.layout) ? Role::StridedCache : Role::CompactCache;
    result.isWritten = !readsCache && !isFrom;
    result.types = {type};
    // FP8 goes as bytes in frameworks that have no type for it.
    if (type.bits == 8)
      result.types.push_back(kBytes);
    result.shapes = getBlockShapes(hasSuffix(name, "value_cache"), type, info);
  } else if (hasSuffix(name, "_scale")) {
    result.isWritten = op == "compute_scales";
    result.isKeyword = !result.isWritten;
    result.types = {kFloat32};
  } else if (name == "out_of_range") {
    result.isWritten = result.isKeyword = true;
    result.types = {kUInt64, kInt64};
  } else if (name == "slot_mapping") {
    result.role = Role::SlotMapping;
    result.types = {argument.align == sizeof(int32_t) ? kInt32 : kInt64};
    result.shapes = {{}};
  } else if (name == "block_table") {
    result.role = Role::BlockTable;
    result.types = {kInt32};
    result.shapes = {{-1}};
  } else if (name == "cu_seq_lens" || name == "seq_starts") {
    result.role = name == "cu_seq_lens" ? Role::CuSeqLens : Role::SeqStarts;
    result.types = {kInt32};
    result.shapes = {{}};
  } else {
    result.role = Role::Rows;
    result.isWritten = readsCache || hasSuffix(name, "_fp8");
    result.types = {source};
    if (hasSuffix(name, "_fp8"))
      result.types = {getType(info.cache_type), kBytes};
    if (name == "key" || name == "value")
      result.shapes = {{info.num_kv_heads, info.head_size}};
    else if (name == "query" || name == "query_fp8")
      result.shapes = {{-1, info.head_size}};
    else if (name == "prob" || name == "prob_fp8")
      result.shapes = {{-1}};
    else if (name == "kv_c" || name == "k_pe")
      result.shapes = {{-1}, {1, -1}};
    else
      return std::nullopt;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

static std::string list(const int64_t *numbers, int count) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += (i ? ", " : "") + std::to_string(numbers[i]);
  return "[" + text + "]";
}

static const char *firstDimension(Role role) {
  switch (role) {
  case Role::Rows:
    return "num_tokens";
  case Role::StridedCache:
  case Role::CompactCache:
    return "num_blocks";
  case Role::BlockTable:
  case Role::SeqStarts:
    return "batch";
  case Role::CuSeqLens:
    return "batch + 1";
  case Role::SlotMapping:
    return "num_tokens";
  case Role::Single:
    break;
  }
  return "";
}

static std::string describeShapes(const TensorArgument &argument) {
  std::string text;
  for (const std::vector<int64_t> &shape : argument.shapes) {
    text += (text.empty() ? "[" : " or [") + std::string(firstDimension(argument.role));
    for (int64_t size : shape)
      text += size < 0 ? ", any" : ", " + std::to_string(size);
    text += "]";
  }
  return text;
}

static bool hasShape(const TensorView &view, const std::vector<int64_t> &shape) {
  if (size_t(view.ndim) != shape.size() + 1)
    return false;
  for (size_t i = 0; i < shape.size(); ++i)
    if (shape[i] >= 0 && view.shape[i + 1] != shape[i])
      return false;
  return true;
}

std::string TensorArgument::findFault(const TensorView &view) const {
  auto expected = [&](const std::string &text) { return "expected '" + name + "' to " + text; };
  if (std::find(types.begin(), types.end(), view.dtype) == types.end()) {
    std::string words;
    for (const DataType &type : types)
      words += (words.empty() ? "'" : " or '") + describe(type) + "'";
    return expected("hold " + words + ", but got '" + describe(view.dtype) + "'");
  }
  if (isWritten && view.isReadOnly)
    return expected("be writable, but got a read-only tensor");
  if (role == Role::Single) {
    for (int i = 0; i < view.ndim; ++i)
      if (view.shape[i] != 1)
        return expected("hold one element, but got the shape " + list(view.shape, view.ndim));
    return "";
  }
  auto fits = [&](const std::vector<int64_t> &shape) { return hasShape(view, shape); };
  if (std::none_of(shapes.begin(), shapes.end(), fits))
    return expected("have the shape " + describeShapes(*this) + ", but got " +
                    list(view.shape, view.ndim));
  // Rows and blocks may lie anywhere; strided caches have strides for all but the
  // elements of a head.
  int first = role == Role::StridedCache                    ? view.ndim - 1
              : role == Role::SlotMapping || view.ndim == 1 ? 0
                                                            : 1;
  if (!view.isCompactFrom(first))
    return expected("be compact from dimension " + std::to_string(first) +
                    " on, but got the strides " + list(view.strides, view.ndim) + " of the shape " +
                    list(view.shape, view.ndim));
  return "";
}
