//===- Targets.h - The targets that a user asks for -------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DRIVER_TARGETS_H
#define KVQ_DRIVER_TARGETS_H

#include "kvq/Target/ChipInfo.h"
#include "mlir/IR/BuiltinOps.h"
#include <vector>

namespace kvq {

/// A chip, and whether `fp8` means the fnuz formats there.
struct Target {
  const ChipInfo *chip;
  bool fnuz;
};

/// The targets of a compilation: those named, each once; else that of the module;
/// else the host. `fnuz` is for the host alone. A module that has a target takes
/// no other.
llvm::Expected<std::vector<Target>> chooseTargets(mlir::ModuleOp module,
                                                  llvm::ArrayRef<std::string> names, bool fnuz);

/// The type that the caches of all layers of `module` hold on a target; null
/// where they differ, or where it is the source type and a layer has none.
std::optional<std::string> describeCacheType(mlir::ModuleOp module, const Target &target);

} // namespace kvq

#endif // KVQ_DRIVER_TARGETS_H
