//===- HipDevice.cpp - HIP's runtime --------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sources of names and numbers: hip_runtime_api.h of ROCm 6 and 7.
//
//===----------------------------------------------------------------------===//

#include "Device.h"
#include "DriverLibrary.h"
#include "Refusal.h"
#include "kvq/Json/Quote.h"
#include <algorithm>
#include <array>

using namespace kvq;
using namespace kvq::runtime;

namespace {

using Module = void *;

enum : int { kSuccess = 0, kNoBinaryForGpu = 209 };

/// Of hipDeviceProp_tR0600, the properties of ROCm 6 and later, which have their
/// own symbol: where the chip's name stands, and more room than all of it.
constexpr size_t kArchNameOffset = 1160, kNameSize = 256, kPropertiesRoom = 8192;

/// The functions of libamdhip64 that are used.
struct HipApi {
  explicit HipApi(const DriverLibrary &library);

  int (*init)(unsigned flags);
  const char *(*getErrorName)(int code);
  const char *(*getErrorString)(int code);
  int (*getDeviceCount)(int *count);
  int (*getDevice)(int *device);
  int (*setDevice)(int device);
  int (*getDeviceProperties)(void *properties, int device);
  int (*moduleLoadData)(Module *module, const void *image);
  int (*moduleUnload)(Module module);
  int (*moduleGetFunction)(void **function, Module module, const char *name);
  int (*moduleLaunchKernel)(void *function, unsigned gridX, unsigned gridY, unsigned gridZ,
                            unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,
                            void *stream, void **params, void **extra);
};

HipApi::HipApi(const DriverLibrary &library) {
  library.require("hipInit", init);
  library.require("hipGetErrorName", getErrorName);
  library.require("hipGetErrorString", getErrorString);
  library.require("hipGetDeviceCount", getDeviceCount);
  library.require("hipGetDevice", getDevice);
  library.require("hipSetDevice", setDevice);
  library.require("hipGetDevicePropertiesR0600", getDeviceProperties);
  library.require("hipModuleLoadData", moduleLoadData);
  library.require("hipModuleUnload", moduleUnload);
  library.require("hipModuleGetFunction", moduleGetFunction);
  library.require("hipModuleLaunchKernel", moduleLaunchKernel);
}

std::string describeCall(const HipApi &api, const char *function, int code) {
  const char *name = api.getErrorName(code), *text = api.getErrorString(code);
  return std::string(function) + ": " + (name ? name : "unknown error") + " (" +
         std::to_string(code) + "): " + (text ? text : "no text");
}

void check(const HipApi &api, const char *function, int code) {
  if (code != kSuccess)
    throw Refusal(KVQ_ERROR_DRIVER, describeCall(api, function, code), code);
}

/// Makes a device current as long as it lives.
class Current {
public:
  Current(const HipApi &api, int device) : api(api) {
    check(api, "hipGetDevice", api.getDevice(&before));
    if (before == device)
      return;
    check(api, "hipSetDevice", api.setDevice(device));
    changed = true;
  }
  ~Current() {
    if (changed)
      api.setDevice(before);
  }
  Current(const Current &) = delete;

private:
  const HipApi &api;
  int before = 0;
  bool changed = false;
};

class HipDevice : public Device {
public:
  HipDevice(const HipApi &api, int ordinal);
  ~HipDevice() override;

  bool load(const CodeChoice &choice, const std::string &bytes) override;
  void *find(const std::string &symbol) override;
  int launch(const LaunchPlan &plan, const kvq_value *values, size_t count,
             void *stream) const noexcept override;
  const char *getLaunchName() const noexcept override { return "hipModuleLaunchKernel"; }
  std::string describe(const char *function, int code) const override {
    return describeCall(api, function, code);
  }

private:
  const HipApi &api;
  Module module = nullptr;
};

} // namespace

HipDevice::HipDevice(const HipApi &api, int ordinal) : api(api) {
  description.kind = KVQ_DEVICE_HIP;
  // HIP counts threads, not blocks, in 32 bits.
  mostThreads = UINT32_MAX;
  check(api, "hipInit", api.init(0));
  int count = 0;
  check(api, "hipGetDeviceCount", api.getDeviceCount(&count));
  if (ordinal == KVQ_CURRENT_DEVICE)
    check(api, "hipGetDevice", api.getDevice(&ordinal));
  if (ordinal < 0 || ordinal >= count)
    throw Refusal(KVQ_ERROR_DEVICE, "expected a HIP device below " + std::to_string(count) +
                                        ", but got " + std::to_string(ordinal));
  description.ordinal = ordinal;
  std::array<char, kPropertiesRoom> properties{};
  check(api, "hipGetDeviceProperties", api.getDeviceProperties(properties.data(), ordinal));
  auto textAt = [&](size_t offset) {
    const char *begin = properties.data() + offset;
    return std::string(begin, std::find(begin, begin + kNameSize, '\0'));
  };
  description.name = textAt(0);
  description.arch = textAt(kArchNameOffset);
}

HipDevice::~HipDevice() {
  if (module)
    api.moduleUnload(module);
}

bool HipDevice::load(const CodeChoice &choice, const std::string &bytes) {
  Current current(api, description.ordinal);
  int code = api.moduleLoadData(&module, bytes.data());
  if (code == kSuccess)
    return true;
  module = nullptr;
  if (code == kNoBinaryForGpu)
    return false;
  throw Refusal(KVQ_ERROR_DRIVER,
                escapeText(choice.file) + ": " + describe("hipModuleLoadData", code), code);
}

void *HipDevice::find(const std::string &symbol) {
  Current current(api, description.ordinal);
  void *function = nullptr;
  check(api, "hipModuleGetFunction", api.moduleGetFunction(&function, module, symbol.c_str()));
  return function;
}

int HipDevice::launch(const LaunchPlan &plan, const kvq_value *values, size_t count,
                      void *stream) const noexcept {
  // Values are 8 bytes each, and an i32 is the first four of them.
  void *params[KVQ_MAX_ARGUMENTS];
  for (size_t i = 0; i < count; ++i)
    params[i] = const_cast<kvq_value *>(values + i);
  return api.moduleLaunchKernel(plan.function, plan.grid[0], plan.grid[1], plan.grid[2],
                                plan.block[0], plan.block[1], plan.block[2], plan.sharedBytes,
                                stream, params, nullptr);
}

std::unique_ptr<Device> kvq::runtime::openHipDevice(int ordinal) {
  return std::make_unique<HipDevice>(
      driverApi<HipApi>("KVQ_HIP_LIBRARY",
                        {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so"}),
      ordinal);
}
