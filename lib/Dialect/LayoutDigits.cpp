//===- LayoutDigits.cpp - A layout's map taken apart ----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A number of mixed radix: each result of the map is a digit of one dimension,
// (dim floordiv divisor) mod extent. The map is injective when every dimension's
// digits, ordered by divisor, make up the whole dimension: each divisor is the
// product of the extents before it.
//
//===----------------------------------------------------------------------===//

#include "LayoutDigits.h"
#include "mlir/IR/AffineExpr.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <optional>

using namespace mlir;
using namespace kvq;

static StringRef nameOf(LayoutDim dim) {
  constexpr StringLiteral names[] = {"row", "head", "element"};
  return names[unsigned(dim)];
}

/// What the sizes are called in a cache.
static StringRef sizeOf(LayoutDim dim) {
  constexpr StringLiteral names[] = {"block_size", "kv_heads", "head_size"};
  return names[unsigned(dim)];
}

static std::string toText(AffineExpr expr) {
  std::string text;
  llvm::raw_string_ostream(text) << expr;
  return text;
}

static FailureOr<LayoutDigit> getDigit(function_ref<InFlightDiagnostic()> emitError,
                                       AffineExpr expr, const LayoutSizes &sizes) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    unsigned position = dim.getPosition();
    return LayoutDigit{LayoutDim(position), 1, sizes[position], 0};
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  auto constant = binary ? dyn_cast<AffineConstantExpr>(binary.getRHS()) : AffineConstantExpr();
  bool isDiv = expr.getKind() == AffineExprKind::FloorDiv;
  if (!constant || constant.getValue() < 1 || !(isDiv || expr.getKind() == AffineExprKind::Mod))
    return emitError() << "expected the results of a layout's map to be dimensions, with "
                          "'floordiv' and 'mod' by positive constants, but got '"
                       << toText(expr) << "'";
  FailureOr<LayoutDigit> digit = getDigit(emitError, binary.getLHS(), sizes);
  if (failed(digit))
    return failure();
  int64_t by = constant.getValue();
  if (!isDiv && by >= digit->extent)
    return digit;
  if (digit->extent % by != 0)
    return emitError() << "expected '" << sizeOf(digit->dim) << "' to be a multiple of "
                       << digit->divisor * by << " in this layout, but got "
                       << sizes[unsigned(digit->dim)];
  if (isDiv) {
    digit->divisor *= by;
    digit->extent /= by;
  } else {
    digit->extent = by;
  }
  return digit;
}

/// A digit as a map would write it.
static std::string describe(LayoutDim dim, int64_t divisor, std::optional<int64_t> extent) {
  std::string text = nameOf(dim).str();
  if (divisor != 1)
    text =
        (extent ? "(" : "") + text + " floordiv " + std::to_string(divisor) + (extent ? ")" : "");
  return extent ? text + " mod " + std::to_string(*extent) : text;
}

/// Holds that the digits of `dim` make up all of it, once.
static LogicalResult verifyWhole(function_ref<InFlightDiagnostic()> emitError, LayoutDim dim,
                                 int64_t size, ArrayRef<LayoutDigit> digits) {
  SmallVector<LayoutDigit> own;
  llvm::copy_if(digits, std::back_inserter(own),
                [&](const LayoutDigit &digit) { return digit.dim == dim; });
  llvm::sort(own, [](const LayoutDigit &a, const LayoutDigit &b) { return a.divisor < b.divisor; });
  int64_t covered = 1;
  for (const LayoutDigit &digit : own) {
    if (digit.divisor < covered)
      return emitError() << "expected a layout's map to have every part of '" << nameOf(dim)
                         << "' once, but '"
                         << describe(dim, digit.divisor,
                                     digit.divisor * digit.extent < size
                                         ? std::optional(digit.extent)
                                         : std::nullopt)
                         << "' repeats what another result has";
    if (digit.divisor > covered)
      return emitError() << "expected an injective layout; add the result '"
                         << describe(dim, covered, digit.divisor / covered) << "'";
    covered = digit.divisor * digit.extent;
  }
  if (covered < size)
    return emitError() << "expected an injective layout; add the result '"
                       << describe(dim, covered, std::nullopt) << "'";
  return success();
}

FailureOr<SmallVector<LayoutDigit, 4>> kvq::getDigits(function_ref<InFlightDiagnostic()> emitError,
                                                      AffineMap map, const LayoutSizes &sizes) {
  SmallVector<LayoutDigit, 4> digits;
  for (AffineExpr result : map.getResults()) {
    FailureOr<LayoutDigit> digit = getDigit(emitError, result, sizes);
    if (failed(digit))
      return failure();
    if (digit->extent != 1)
      digits.push_back(*digit);
  }
  for (LayoutDim dim : {LayoutDim::Row, LayoutDim::Head, LayoutDim::Element})
    if (failed(verifyWhole(emitError, dim, sizes[unsigned(dim)], digits)))
      return failure();

  // From the innermost out; a digit that goes on where the last one ends joins it.
  SmallVector<LayoutDigit, 4> joined;
  int64_t stride = 1;
  for (LayoutDigit digit : llvm::reverse(digits)) {
    digit.stride = stride;
    stride *= digit.extent;
    if (!joined.empty() && joined.back().dim == digit.dim &&
        joined.back().divisor * joined.back().extent == digit.divisor)
      joined.back().extent *= digit.extent;
    else
      joined.push_back(digit);
  }
  std::reverse(joined.begin(), joined.end());
  return joined;
}

SmallVector<LayoutDigit, 4> kvq::cantFailDigits(AffineMap map, const LayoutSizes &sizes) {
  FailureOr<SmallVector<LayoutDigit, 4>> digits = getDigits(
      [&]() -> InFlightDiagnostic { return emitError(UnknownLoc::get(map.getContext())); }, map,
      sizes);
  return succeeded(digits) ? std::move(*digits) : SmallVector<LayoutDigit, 4>();
}
