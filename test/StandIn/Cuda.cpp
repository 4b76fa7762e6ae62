//===- Cuda.cpp - Stands in for libcuda -----------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StandIn.h"
#include <cstdlib>
#include <cstring>

using namespace kvq::test;
// Opaque, as the runtime has them: calls through another type are found by UBSan.
using Context = void *;
using Module = void *;

namespace {

enum : int { kInvalidContext = 201, kInvalidDevice = 101, kInvalidValue = 1, kNoDevice = 100 };

/// The contexts of a thread, the current one last.
thread_local std::vector<StandInContext *> stack;

StandIn &standIn() { return *kvq_stand_in(); }

bool isDevice(int device) { return device >= 0 && size_t(device) < standIn().devices.size(); }

} // namespace

#define KVQ_RETURN_FAILURE(function)                                                               \
  if (int code = standIn().note(function))                                                         \
  return code

extern "C" {

int cuInit(unsigned) {
  KVQ_RETURN_FAILURE("cuInit");
  return standIn().devices.empty() ? kNoDevice : 0;
}

int cuGetErrorName(int code, const char **text) {
  *text = "CUDA_ERROR_STAND_IN";
  return code == 999 ? kInvalidValue : 0;
}

int cuGetErrorString(int code, const char **text) {
  *text = "the stand-in was told to fail";
  return code == 999 ? kInvalidValue : 0;
}

int cuDeviceGet(int *device, int ordinal) {
  KVQ_RETURN_FAILURE("cuDeviceGet");
  *device = ordinal;
  return isDevice(ordinal) ? 0 : kInvalidDevice;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
  KVQ_RETURN_FAILURE("cuDeviceGetAttribute");
  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
  if (!isDevice(device) || (attribute != 75 && attribute != 76))
    return kInvalidValue;
  const StandInDevice &pretended = standIn().devices[device];
  *value = attribute == 75 ? pretended.major : pretended.minor;
  return 0;
}

int cuDeviceGetName(char *name, int length, int device) {
  KVQ_RETURN_FAILURE("cuDeviceGetName");
  strncpy(name, standIn().devices[device].name.c_str(), length);
  return 0;
}

int cuCtxGetCurrent(Context *context) {
  KVQ_RETURN_FAILURE("cuCtxGetCurrent");
  *context = stack.empty() ? nullptr : stack.back();
  return 0;
}

int cuCtxGetDevice(int *device) {
  KVQ_RETURN_FAILURE("cuCtxGetDevice");
  if (stack.empty())
    return kInvalidContext;
  *device = stack.back()->device;
  return 0;
}

int cuCtxPushCurrent_v2(Context context) {
  KVQ_RETURN_FAILURE("cuCtxPushCurrent");
  if (!context)
    return kInvalidContext;
  stack.push_back(static_cast<StandInContext *>(context));
  return 0;
}

int cuCtxPopCurrent_v2(Context *context) {
  KVQ_RETURN_FAILURE("cuCtxPopCurrent");
  if (stack.empty())
    return kInvalidContext;
  *context = stack.back();
  stack.pop_back();
  return 0;
}

int cuDevicePrimaryCtxRetain(Context *context, int device) {
  KVQ_RETURN_FAILURE("cuDevicePrimaryCtxRetain");
  if (!isDevice(device))
    return kInvalidDevice;
  std::lock_guard<std::mutex> lock(standIn().mutex);
  *context = standIn().contexts[device][0].get();
  ++standIn().retained;
  return 0;
}

int cuDevicePrimaryCtxRelease_v2(int) {
  KVQ_RETURN_FAILURE("cuDevicePrimaryCtxRelease");
  std::lock_guard<std::mutex> lock(standIn().mutex);
  --standIn().retained;
  return 0;
}

int cuModuleLoadDataEx(Module *module, const void *image, unsigned numOptions, int *options,
                       void **values) {
  if (int code = standIn().note("cuModuleLoadDataEx")) {
    for (unsigned i = 0; i < numOptions; ++i)
      // CU_JIT_ERROR_LOG_BUFFER
      if (options[i] == 5)
        strcpy(static_cast<char *>(values[i]), "line 7:\nwhat the assembler says");
    return code;
  }
  if (stack.empty())
    return kInvalidContext;
  *module = standIn().load(image, stack.back());
  return 0;
}

int cuModuleUnload(Module module) {
  KVQ_RETURN_FAILURE("cuModuleUnload");
  auto *loaded = static_cast<StandInModule *>(module);
  if (stack.empty() || stack.back() != loaded->context)
    return kInvalidContext;
  std::lock_guard<std::mutex> lock(standIn().mutex);
  standIn().modules.erase(loaded);
  return 0;
}

int cuModuleGetFunction(void **function, Module module, const char *name) {
  KVQ_RETURN_FAILURE("cuModuleGetFunction");
  *function = standIn().find(static_cast<StandInModule *>(module), name);
  return 0;
}

#ifndef KVQ_STAND_IN_OLD
int cuFuncLoad(void *) {
  KVQ_RETURN_FAILURE("cuFuncLoad");
  return 0;
}
#endif

int cuFuncGetAttribute(int *value, int, void *) {
  KVQ_RETURN_FAILURE("cuFuncGetAttribute");
  *value = 32;
  return 0;
}

// Memory of the host serves as the device's.
int cuMemAllocManaged(void **pointer, size_t size, unsigned) {
  KVQ_RETURN_FAILURE("cuMemAllocManaged");
  *pointer = aligned_alloc(256, size);
  return 0;
}

int cuMemFree_v2(void *pointer) {
  KVQ_RETURN_FAILURE("cuMemFree");
  free(pointer);
  return 0;
}

int cuCtxSynchronize() {
  KVQ_RETURN_FAILURE("cuCtxSynchronize");
  return 0;
}

int cuLaunchKernel(void *function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                   unsigned blockY, unsigned blockZ, unsigned sharedBytes, void *stream,
                   void **params, void **) {
  if (standIn().quiet)
    return 0;
  KVQ_RETURN_FAILURE("cuLaunchKernel");
  standIn().launch(function, {gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes, stream,
                   params);
  return 0;
}
}
