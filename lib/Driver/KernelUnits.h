//===- KernelUnits.h - Kernels that are compiled by themselves --*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_KERNELUNITS_H
#define KVQ_LIB_DRIVER_KERNELUNITS_H

#include "mlir/IR/BuiltinOps.h"
#include <string>
#include <vector>

namespace kvq {

/// Kernels that one layer brought and that read the same of its scales, with
/// nothing of other layers. What is compiled is the text: it says all that the
/// code follows from, and nothing else, neither places in files nor the layer's
/// name.
struct KernelUnit {
  std::string text;
  /// Which of the module's kernels these are, in the order of the text.
  std::vector<size_t> kernels;
  /// File and layer, for errors.
  std::string origin;
};

/// The kernels of a module that `kvq-generate-kernels` has run on, in units.
std::vector<KernelUnit> splitKernels(mlir::ModuleOp module);

/// The text of a module without its places in files.
std::string printWithoutLocations(mlir::ModuleOp module);

} // namespace kvq

#endif // KVQ_LIB_DRIVER_KERNELUNITS_H
