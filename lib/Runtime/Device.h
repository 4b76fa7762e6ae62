//===- Device.h - What loads and launches code ------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_RUNTIME_DEVICE_H
#define KVQ_LIB_RUNTIME_DEVICE_H

#include "CodeChoice.h"
#include <memory>

namespace kvq::runtime {

/// How a kernel is launched.
struct LaunchPlan {
  void *function;
  uint32_t grid[3], block[3], sharedBytes;
};

/// A device that code is loaded for; what it holds is released with it.
class Device {
public:
  virtual ~Device() = default;

  const DeviceDescription &getDescription() const { return description; }

  /// Loads a code object; done once. `bytes` is followed by a zero. False where
  /// the driver says that the code is for another chip; throws other failures.
  virtual bool load(const CodeChoice &choice, const std::string &bytes) = 0;

  /// The loaded code's kernel, ready to be launched; throws where there is none.
  virtual void *find(const std::string &symbol) = 0;

  /// Launches without allocating, locking or waiting; the driver's code, 0 for
  /// success. `values` are the kernel's `count` arguments.
  virtual int launch(const LaunchPlan &plan, const kvq_value *values, size_t count,
                     void *stream) const noexcept = 0;

  /// What the driver calls the function that launches.
  virtual const char *getLaunchName() const noexcept = 0;

  /// The failure of a driver's function with a code that is not 0.
  virtual std::string describe(const char *function, int code) const = 0;

  /// The most threads of a launch along one dimension.
  uint64_t getMostThreads() const noexcept { return mostThreads; }

protected:
  DeviceDescription description;
  uint64_t mostThreads = UINT64_MAX;
};

/// The device of a kind and number; throws where there is none.
std::unique_ptr<Device> openCudaDevice(int ordinal);
std::unique_ptr<Device> openHipDevice(int ordinal);
std::unique_ptr<Device> openHostDevice(int ordinal);

} // namespace kvq::runtime

#endif // KVQ_LIB_RUNTIME_DEVICE_H
