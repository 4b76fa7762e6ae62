//===- Layout.cpp - Where elements lie inside a block ---------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Dialect/Layout.h"
#include "LayoutDigits.h"
#include "kvq/Dialect/Kvq.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace kvq;

//===----------------------------------------------------------------------===//
// The named layouts
//===----------------------------------------------------------------------===//

/// Bytes of the innermost dimension of an x-packed layout.
static constexpr int64_t kPackedBytes = 16;

static AffineMap getMap(MLIRContext *context, LayoutKind kind, bool isValue, int64_t x) {
  AffineExpr n, h, d;
  bindDims(context, n, h, d);
  SmallVector<AffineExpr> results;
  switch (kind) {
  case LayoutKind::NHD:
    results = {n, h, d};
    break;
  case LayoutKind::HND:
    results = {h, n, d};
    break;
  case LayoutKind::Paged:
  case LayoutKind::PagedInterleaved:
    if (!isValue)
      results = {h, d.floorDiv(x), n, d % x};
    else if (kind == LayoutKind::Paged)
      results = {h, d, n};
    else
      results = {h, n.floorDiv(x), d, n % x};
    break;
  case LayoutKind::MLA:
  case LayoutKind::MLASegmented:
    results = {n, d};
    break;
  }
  return AffineMap::get(3, 0, results, context);
}

/// What of a layout's strides are arguments; the others follow from the map.
static ArrayRef<CacheStride> getStrides(std::optional<LayoutKind> kind) {
  static constexpr CacheStride all[] = {CacheStride::Block, CacheStride::Page, CacheStride::Head};
  if (kind == LayoutKind::NHD || kind == LayoutKind::HND)
    return all;
  return ArrayRef(all, kind == LayoutKind::MLA ? 2 : 1);
}

bool LayoutAttr::isMLA() const {
  return getKind() == LayoutKind::MLA || getKind() == LayoutKind::MLASegmented;
}

const LayoutNames &kvq::getLayoutNames(bool isMLA) {
  static constexpr StringLiteral rows[] = {"key", "value"}, caches[] = {"key_cache", "value_cache"},
                                 prefixes[] = {"key", "value"};
  static constexpr StringLiteral parts[] = {"kv_c", "k_pe"}, cache[] = {"kv_cache"},
                                 prefix[] = {"kv"};
  static constexpr LayoutNames apart = {rows, caches, prefixes}, latent = {parts, cache, prefix};
  return isMLA ? latent : apart;
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

int64_t CachePart::getContiguous() const {
  if (digits.empty())
    return 1;
  const LayoutDigit &last = digits.back();
  return last.dim == LayoutDim::Element && last.divisor == 1 ? last.extent : 1;
}

bool CachePart::hasRowsBeside(int64_t width) const {
  for (const LayoutDigit &digit : llvm::reverse(digits)) {
    if (digit.dim == LayoutDim::Row)
      return true;
    if (digit.dim == LayoutDim::Head || digit.extent > width)
      return false;
  }
  return false;
}

/// The maps of a cache's two parts and the sizes that they are for.
static SmallVector<std::pair<AffineMap, LayoutSizes>, 2> getMaps(LayoutAttr layout, Type element,
                                                                 int64_t blockSize, int64_t kvHeads,
                                                                 int64_t headSize,
                                                                 int64_t kvLoraRank) {
  MLIRContext *context = layout.getContext();
  LayoutSizes sizes = {blockSize, kvHeads, headSize};
  if (!layout.getKind())
    return {{layout.getKey(), sizes}, {layout.getValue(), sizes}};
  LayoutKind kind = *layout.getKind();
  int64_t x = kPackedBytes * 8 / element.getIntOrFloatBitWidth();
  if (!layout.isMLA())
    return {{getMap(context, kind, false, x), sizes}, {getMap(context, kind, true, x), sizes}};
  AffineMap map = getMap(context, kind, false, x);
  return {{map, {blockSize, 1, kvLoraRank}}, {map, {blockSize, 1, headSize - kvLoraRank}}};
}

SmallVector<CachePart, 2> CacheAttr::getParts() const {
  LayoutAttr layout = getLayout();
  SmallVector<CachePart, 2> parts;
  for (auto [map, sizes] : getMaps(layout, getElement(), getBlockSize(), getKvHeads(),
                                   getHeadSize(), getKvLoraRank())) {
    unsigned index = parts.size();
    CachePart part;
    part.rows = index;
    part.cache = part.scale = layout.isMLA() ? 0 : index;
    part.heads = sizes[unsigned(LayoutDim::Head)];
    part.headSize = sizes[unsigned(LayoutDim::Element)];
    part.base = 0;
    if (layout.isMLA() && index == 1)
      part.base = getKvLoraRank() * (layout.getKind() == LayoutKind::MLA ? 1 : getBlockSize());
    // Rows with a stride lie both parts apart, whole blocks all of their rows.
    part.compactStride = layout.getKind() == LayoutKind::MLA
                             ? getHeadSize()
                             : getBlockSize() * getKvHeads() * getHeadSize();
    part.strides = getStrides(layout.getKind());
    part.digits = cantFailDigits(map, sizes);
    parts.push_back(std::move(part));
  }
  return parts;
}

LogicalResult kvq::detail::verifyLayout(function_ref<InFlightDiagnostic()> emitError,
                                        LayoutAttr layout, Type element, int64_t blockSize,
                                        int64_t kvHeads, int64_t headSize, int64_t kvLoraRank) {
  if (layout.isMLA() != (kvLoraRank != 0))
    return emitError() << "expected " << (layout.isMLA() ? "a" : "no")
                       << " 'kv_lora_rank' with layout '" << layout.getText() << "'";
  if (layout.isMLA() && (kvHeads != 1 || kvLoraRank < 1 || kvLoraRank >= headSize))
    return emitError() << "expected one KV head of more than 'kv_lora_rank' elements, but got "
                       << kvHeads << " of " << headSize << " with a rank of " << kvLoraRank;
  for (auto [map, sizes] : getMaps(layout, element, blockSize, kvHeads, headSize, kvLoraRank))
    if (failed(getDigits(emitError, map, sizes)))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// LayoutAttr
//===----------------------------------------------------------------------===//

static std::string toText(AffineMap map) {
  std::string text;
  llvm::raw_string_ostream(text) << map;
  return text;
}

std::string LayoutAttr::getText() const {
  if (getKind())
    return stringify(*getKind()).str();
  if (getKey() == getValue())
    return toText(getKey());
  return "key = " + toText(getKey()) + ", value = " + toText(getValue());
}

LogicalResult LayoutAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 std::optional<LayoutKind> kind, AffineMap key, AffineMap value) {
  if (kind)
    return success();
  for (AffineMap map : {key, value})
    if (!map || map.getNumDims() != 3 || map.getNumSymbols() != 0)
      return emitError() << "expected a layout's map to take (row, head, element), but got '"
                         << (map ? toText(map) : "none") << "'";
  return success();
}

Attribute LayoutAttr::parse(AsmParser &parser, Type) {
  MLIRContext *context = parser.getContext();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess())
    return {};
  auto parseMap = [&](AffineMap &map) -> ParseResult {
    AffineMapAttr attr;
    if (parser.parseAttribute(attr))
      return failure();
    map = attr.getValue();
    return success();
  };
  std::optional<LayoutKind> kind;
  AffineMap key, value;
  AffineMapAttr both;
  OptionalParseResult parsed = parser.parseOptionalAttribute(both);
  if (parsed.has_value()) {
    if (failed(*parsed))
      return {};
    key = value = both.getValue();
  } else if (succeeded(parser.parseOptionalKeyword("key"))) {
    if (parser.parseEqual() || parseMap(key) || parser.parseComma() ||
        parser.parseKeyword("value") || parser.parseEqual() || parseMap(value))
      return {};
  } else {
    FailureOr<LayoutKind> name = parseName<LayoutKind>(parser);
    if (failed(name))
      return {};
    kind = *name;
  }
  if (parser.parseGreater())
    return {};
  // A map that has a name is that layout, strides and all.
  for (LayoutKind named : {LayoutKind::NHD, LayoutKind::HND})
    if (key && key == value && key == getMap(context, named, false, 1))
      return get(context, named);
  return parser.getChecked<LayoutAttr>(loc, context, kind, key, value);
}

void LayoutAttr::print(AsmPrinter &printer) const {
  printer << "<";
  if (getKind())
    printer << stringify(*getKind());
  else if (getKey() == getValue())
    printer << AffineMapAttr::get(getKey());
  else
    printer << "key = " << AffineMapAttr::get(getKey())
            << ", value = " << AffineMapAttr::get(getValue());
  printer << ">";
}
