//===- Layout.cpp - The maps of the layouts -------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Dialect/Kvq.h"
#include "mlir/IR/AffineMap.h"

using namespace mlir;
using namespace kvq;

AffineMap LayoutAttr::getMap() const {
  AffineExpr row, head, element;
  bindDims(getContext(), row, head, element);
  switch (getKind()) {
  case LayoutKind::NHD:
    return AffineMap::get(3, 0, {row, head, element}, getContext());
  }
  llvm_unreachable("all layouts are above");
}
