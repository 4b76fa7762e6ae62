//===- Layers.h - The layers of a module ------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_LAYERS_H
#define KVQ_LIB_DRIVER_LAYERS_H

#include "kvq/Dialect/Kvq.h"
#include "mlir/IR/BuiltinOps.h"
#include <algorithm>
#include <string>
#include <vector>

namespace kvq {

/// The layers of a module, ordered by (index, name).
inline std::vector<AttentionOp> getSortedLayers(mlir::ModuleOp module) {
  auto range = module.getOps<AttentionOp>();
  std::vector<AttentionOp> layers(range.begin(), range.end());
  std::sort(layers.begin(), layers.end(), [](AttentionOp a, AttentionOp b) {
    return std::pair(a.getIndex(), a.getSymName()) < std::pair(b.getIndex(), b.getSymName());
  });
  return layers;
}

/// A layer's warnings or notes; none for a null attribute.
inline std::vector<std::string> getTexts(mlir::ArrayAttr list) {
  std::vector<std::string> texts;
  if (list)
    for (auto text : list.getAsRange<mlir::StringAttr>())
      texts.push_back(text.str());
  return texts;
}

} // namespace kvq

#endif // KVQ_LIB_DRIVER_LAYERS_H
