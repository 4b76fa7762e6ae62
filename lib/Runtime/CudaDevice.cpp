//===- CudaDevice.cpp - CUDA's driver -------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Code is a module of one context and not a context-independent library (CUDA
// 12): the functions then are ready before the first launch, and older drivers
// serve as well. Sources of names and numbers: the CUDA driver API's reference.
//
//===----------------------------------------------------------------------===//

#include "Device.h"
#include "DriverLibrary.h"
#include "Refusal.h"
#include "kvq/Json/Quote.h"
#include <array>

using namespace kvq;
using namespace kvq::runtime;

namespace {

using Context = void *;
using Module = void *;

enum : int {
  kSuccess = 0,
  kNoBinaryForGpu = 209,
  kUnsupportedPtxVersion = 222,
};
enum : int { kCapabilityMajor = 75, kCapabilityMinor = 76 };
enum : int { kJitErrorLogBuffer = 5, kJitErrorLogBufferSize = 6 };
enum : int { kNumRegs = 4 };

/// The functions of libcuda that are used, by the names that it exports.
struct CudaApi {
  explicit CudaApi(const DriverLibrary &library);

  int (*init)(unsigned flags);
  int (*getErrorName)(int code, const char **text);
  int (*getErrorString)(int code, const char **text);
  int (*deviceGet)(int *device, int ordinal);
  int (*deviceGetAttribute)(int *value, int attribute, int device);
  int (*deviceGetName)(char *name, int length, int device);
  int (*ctxGetCurrent)(Context *context);
  int (*ctxGetDevice)(int *device);
  int (*ctxPushCurrent)(Context context);
  int (*ctxPopCurrent)(Context *context);
  int (*primaryCtxRetain)(Context *context, int device);
  int (*primaryCtxRelease)(int device);
  int (*moduleLoadDataEx)(Module *module, const void *image, unsigned numOptions, int *options,
                          void **values);
  int (*moduleUnload)(Module module);
  int (*moduleGetFunction)(void **function, Module module, const char *name);
  /// Loads a function that the driver put off (CUDA 12.4); may be null.
  int (*funcLoad)(void *function);
  int (*funcGetAttribute)(int *value, int attribute, void *function);
  int (*launchKernel)(void *function, unsigned gridX, unsigned gridY, unsigned gridZ,
                      unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,
                      void *stream, void **params, void **extra);
};

CudaApi::CudaApi(const DriverLibrary &library) {
  library.require("cuInit", init);
  library.require("cuGetErrorName", getErrorName);
  library.require("cuGetErrorString", getErrorString);
  library.require("cuDeviceGet", deviceGet);
  library.require("cuDeviceGetAttribute", deviceGetAttribute);
  library.require("cuDeviceGetName", deviceGetName);
  library.require("cuCtxGetCurrent", ctxGetCurrent);
  library.require("cuCtxGetDevice", ctxGetDevice);
  library.require("cuCtxPushCurrent_v2", ctxPushCurrent);
  library.require("cuCtxPopCurrent_v2", ctxPopCurrent);
  library.require("cuDevicePrimaryCtxRetain", primaryCtxRetain);
  library.require("cuDevicePrimaryCtxRelease_v2", primaryCtxRelease);
  library.require("cuModuleLoadDataEx", moduleLoadDataEx);
  library.require("cuModuleUnload", moduleUnload);
  library.require("cuModuleGetFunction", moduleGetFunction);
  library.request("cuFuncLoad", funcLoad);
  library.require("cuFuncGetAttribute", funcGetAttribute);
  library.require("cuLaunchKernel", launchKernel);
}

/// The message of a failed call.
std::string describeCall(const CudaApi &api, const char *function, int code) {
  const char *name = nullptr, *text = nullptr;
  if (api.getErrorName(code, &name) != kSuccess || !name)
    name = "unknown error";
  if (api.getErrorString(code, &text) != kSuccess || !text)
    text = "no text";
  return std::string(function) + ": " + name + " (" + std::to_string(code) + "): " + text;
}

void check(const CudaApi &api, const char *function, int code) {
  if (code != kSuccess)
    throw Refusal(KVQ_ERROR_DRIVER, describeCall(api, function, code), code);
}

/// Makes a context current as long as it lives.
class Current {
public:
  Current(const CudaApi &api, Context context) : api(api) {
    check(api, "cuCtxPushCurrent", api.ctxPushCurrent(context));
  }
  ~Current() {
    Context popped;
    api.ctxPopCurrent(&popped);
  }
  Current(const Current &) = delete;

private:
  const CudaApi &api;
};

class CudaDevice : public Device {
public:
  CudaDevice(const CudaApi &api, int ordinal);
  ~CudaDevice() override;

  bool load(const CodeChoice &choice, const std::string &bytes) override;
  void *find(const std::string &symbol) override;
  int launch(const LaunchPlan &plan, const kvq_value *values, size_t count,
             void *stream) const noexcept override;
  const char *getLaunchName() const noexcept override { return "cuLaunchKernel"; }
  std::string describe(const char *function, int code) const override {
    return describeCall(api, function, code);
  }

private:
  /// Takes the current context if it is of device `wanted`, else retains the
  /// primary one; of KVQ_CURRENT_DEVICE without a current context, device 0's.
  void takeContext(int wanted);
  void describeDevice();

  const CudaApi &api;
  Context context = nullptr;
  /// Whether the primary context is retained.
  bool retained = false;
  Module module = nullptr;
};

} // namespace

CudaDevice::CudaDevice(const CudaApi &api, int ordinal) : api(api) {
  description.kind = KVQ_DEVICE_CUDA;
  check(api, "cuInit", api.init(0));
  takeContext(ordinal);
  try {
    describeDevice();
  } catch (...) {
    if (retained)
      api.primaryCtxRelease(description.ordinal);
    throw;
  }
}

void CudaDevice::takeContext(int wanted) {
  Context current = nullptr;
  check(api, "cuCtxGetCurrent", api.ctxGetCurrent(&current));
  int device = 0;
  if (current)
    check(api, "cuCtxGetDevice", api.ctxGetDevice(&device));
  int chosen = device;
  if (wanted != KVQ_CURRENT_DEVICE || !current)
    check(api, "cuDeviceGet", api.deviceGet(&chosen, wanted == KVQ_CURRENT_DEVICE ? 0 : wanted));
  description.ordinal = chosen;
  if (current && chosen == device) {
    context = current;
    return;
  }
  check(api, "cuDevicePrimaryCtxRetain", api.primaryCtxRetain(&context, chosen));
  retained = true;
}

void CudaDevice::describeDevice() {
  int device = description.ordinal;
  check(api, "cuDeviceGetAttribute",
        api.deviceGetAttribute(&description.major, kCapabilityMajor, device));
  check(api, "cuDeviceGetAttribute",
        api.deviceGetAttribute(&description.minor, kCapabilityMinor, device));
  std::array<char, 256> name{};
  check(api, "cuDeviceGetName", api.deviceGetName(name.data(), name.size() - 1, device));
  description.name = name.data();
}

CudaDevice::~CudaDevice() {
  // A context that its owner has destroyed took the module with it.
  if (module && api.ctxPushCurrent(context) == kSuccess) {
    api.moduleUnload(module);
    Context popped;
    api.ctxPopCurrent(&popped);
  }
  if (retained)
    api.primaryCtxRelease(description.ordinal);
}

bool CudaDevice::load(const CodeChoice &choice, const std::string &bytes) {
  Current current(api, context);
  std::array<char, 1024> log{};
  int options[] = {kJitErrorLogBuffer, kJitErrorLogBufferSize};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size() - 1)};
  int code = api.moduleLoadDataEx(&module, bytes.data(), 2, options, values);
  if (code == kSuccess)
    return true;
  module = nullptr;
  if (code == kNoBinaryForGpu || code == kUnsupportedPtxVersion)
    return false;
  std::string text = escapeText(choice.file) + ": " + describe("cuModuleLoadDataEx", code);
  throw Refusal(KVQ_ERROR_DRIVER, text + (log[0] ? std::string(": ") + log.data() : ""), code);
}

void *CudaDevice::find(const std::string &symbol) {
  Current current(api, context);
  void *function = nullptr;
  check(api, "cuModuleGetFunction", api.moduleGetFunction(&function, module, symbol.c_str()));
  // With CUDA_MODULE_LOADING=LAZY a function would be loaded by its first launch,
  // which a capture does not allow. An attribute has older drivers load it.
  if (api.funcLoad) {
    check(api, "cuFuncLoad", api.funcLoad(function));
    return function;
  }
  int registers = 0;
  check(api, "cuFuncGetAttribute", api.funcGetAttribute(&registers, kNumRegs, function));
  return function;
}

int CudaDevice::launch(const LaunchPlan &plan, const kvq_value *values, size_t count,
                       void *stream) const noexcept {
  // Values are 8 bytes each, and an i32 is the first four of them.
  void *params[KVQ_MAX_ARGUMENTS];
  for (size_t i = 0; i < count; ++i)
    params[i] = const_cast<kvq_value *>(values + i);
  return api.launchKernel(plan.function, plan.grid[0], plan.grid[1], plan.grid[2], plan.block[0],
                          plan.block[1], plan.block[2], plan.sharedBytes, stream, params, nullptr);
}

std::unique_ptr<Device> kvq::runtime::openCudaDevice(int ordinal) {
  return std::make_unique<CudaDevice>(
      driverApi<CudaApi>("KVQ_CUDA_LIBRARY", {"libcuda.so.1", "libcuda.so"}), ordinal);
}
