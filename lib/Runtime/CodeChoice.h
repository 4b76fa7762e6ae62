//===- CodeChoice.h - Which code a device runs ------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_RUNTIME_CODECHOICE_H
#define KVQ_LIB_RUNTIME_CODECHOICE_H

#include "kvq/Artefact/Manifest.h"
#include "kvq/Runtime/kvq_runtime.h"

namespace kvq::runtime {

/// The device that code is for.
struct DeviceDescription {
  /// Never KVQ_DEVICE_AUTO.
  kvq_device_kind kind = KVQ_DEVICE_HOST;
  int ordinal = 0;
  /// Of CUDA, the compute capability.
  int major = 0, minor = 0;
  /// Of HIP, the chip's name as the driver has it ('gfx942:sramecc+:xnack-').
  std::string arch;
  /// What the driver calls the device.
  std::string name;

  /// The name of the target made for exactly this chip: 'sm_90', 'gfx942', 'host'.
  std::string chip() const;
};

/// The backend of the targets that a kind of device runs: 'nvvm', 'rocdl', 'host'.
const char *backendOf(kvq_device_kind kind);

/// What messages call a kind of device: 'CUDA', 'HIP', 'the host'.
const char *nameOf(kvq_device_kind kind);

/// A file of a target.
struct CodeChoice {
  const ManifestTarget *target;
  std::string fileKind, file;
};

/// The files that the device runs, best first: of CUDA the cubin of exactly its
/// chip, then cubins of the same major and a lower minor version, the highest
/// first, then, with `allowPtx`, PTX of chips that are not above it, the highest
/// first; else that of exactly its chip. With `target` only those of that target.
std::vector<CodeChoice> chooseCode(const std::vector<ManifestTarget> &targets,
                                   const DeviceDescription &device, bool allowPtx,
                                   const std::string &target);

/// "'sm_90' (ptx, cubin), 'host' (shared_object)"
std::string listTargets(const std::vector<ManifestTarget> &targets);

} // namespace kvq::runtime

#endif // KVQ_LIB_RUNTIME_CODECHOICE_H
