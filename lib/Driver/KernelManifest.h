//===- KernelManifest.h - Kernels as the manifest describes them *- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_KERNELMANIFEST_H
#define KVQ_LIB_DRIVER_KERNELMANIFEST_H

#include "kvq/Artefact/Manifest.h"
#include "kvq/Target/ChipInfo.h"

namespace mlir::gpu {
class GPUFuncOp;
} // namespace mlir::gpu

namespace kvq {

/// The manifest's entry of a generated kernel, whose scales are folded and whose
/// cache operation is not yet lowered.
ManifestKernel describeKernel(mlir::gpu::GPUFuncOp kernel, const ChipInfo &chip);

} // namespace kvq

#endif // KVQ_LIB_DRIVER_KERNELMANIFEST_H
