//===- KernelFields.h - A manifest's kernels as texts -----------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_KERNELFIELDS_H
#define KVQ_LIB_DRIVER_KERNELFIELDS_H

#include "kvq/Artefact/Manifest.h"

namespace kvq {

/// Names and texts, in order.
using Fields = std::vector<std::pair<std::string, std::string>>;

/// 'ceil_div(num_tokens, 4)'.
std::string describe(const LaunchSize &size);

/// '[ceil_div(num_tokens, 4), 1, 1]'.
std::string describe(const std::array<LaunchSize, 3> &sizes);

/// '0.5 by multiply', or 'argument'.
std::string describe(const ManifestScale &scale);

/// The numbers of a scale per head.
std::string describe(const std::vector<float> &heads);

/// All that a manifest says of a kernel but its symbol and its target.
Fields fieldsOf(const ManifestKernel &kernel);
/// All that it says of a target but its name.
Fields fieldsOf(const ManifestTarget &target);
/// A layer's scales and kernels.
Fields fieldsOf(const ManifestLayerTarget &layer);

} // namespace kvq

#endif // KVQ_LIB_DRIVER_KERNELFIELDS_H
