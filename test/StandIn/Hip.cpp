//===- Hip.cpp - Stands in for libamdhip64 --------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StandIn.h"
#include <cstdlib>
#include <cstring>

using namespace kvq::test;
// Opaque, as the runtime has it: calls through another type are found by UBSan.
using Module = void *;

namespace {

enum : int { kInvalidDevice = 101, kNoDevice = 100 };

thread_local int current = 0;

StandIn &standIn() { return *kvq_stand_in(); }

bool isDevice(int device) { return device >= 0 && size_t(device) < standIn().devices.size(); }

/// The properties as ROCm 6 lays them out, as far as the runtime looks.
struct Properties {
  char name[256];
  char others[904];
  char gcnArchName[256];
};
static_assert(offsetof(Properties, gcnArchName) == 1160, "as in hip_runtime_api.h");

} // namespace

#define KVQ_RETURN_FAILURE(function)                                                               \
  if (int code = standIn().note(function))                                                         \
  return code

extern "C" {

int hipInit(unsigned) {
  KVQ_RETURN_FAILURE("hipInit");
  return standIn().devices.empty() ? kNoDevice : 0;
}

const char *hipGetErrorName(int code) { return code == 999 ? nullptr : "hipErrorStandIn"; }

const char *hipGetErrorString(int code) {
  return code == 999 ? nullptr : "the stand-in was told to fail";
}

int hipGetDeviceCount(int *count) {
  KVQ_RETURN_FAILURE("hipGetDeviceCount");
  *count = int(standIn().devices.size());
  return 0;
}

int hipGetDevice(int *device) {
  KVQ_RETURN_FAILURE("hipGetDevice");
  *device = current;
  return 0;
}

int hipSetDevice(int device) {
  KVQ_RETURN_FAILURE("hipSetDevice");
  if (!isDevice(device))
    return kInvalidDevice;
  current = device;
  return 0;
}

int hipGetDevicePropertiesR0600(void *properties, int device) {
  KVQ_RETURN_FAILURE("hipGetDeviceProperties");
  auto *filled = static_cast<Properties *>(properties);
  strcpy(filled->name, standIn().devices[device].name.c_str());
  strcpy(filled->gcnArchName, standIn().devices[device].arch.c_str());
  return 0;
}

int hipModuleLoadData(Module *module, const void *image) {
  KVQ_RETURN_FAILURE("hipModuleLoadData");
  *module = standIn().load(image, standIn().contexts[current][0].get());
  return 0;
}

int hipModuleUnload(Module module) {
  KVQ_RETURN_FAILURE("hipModuleUnload");
  std::lock_guard<std::mutex> lock(standIn().mutex);
  standIn().modules.erase(static_cast<StandInModule *>(module));
  return 0;
}

int hipModuleGetFunction(void **function, Module module, const char *name) {
  KVQ_RETURN_FAILURE("hipModuleGetFunction");
  *function = standIn().find(static_cast<StandInModule *>(module), name);
  return 0;
}

// Memory of the host serves as the device's.
int hipMallocManaged(void **pointer, size_t size, unsigned) {
  KVQ_RETURN_FAILURE("hipMallocManaged");
  *pointer = aligned_alloc(256, size);
  return 0;
}

int hipFree(void *pointer) {
  KVQ_RETURN_FAILURE("hipFree");
  free(pointer);
  return 0;
}

int hipDeviceSynchronize() {
  KVQ_RETURN_FAILURE("hipDeviceSynchronize");
  return 0;
}

int hipModuleLaunchKernel(void *function, unsigned gridX, unsigned gridY, unsigned gridZ,
                          unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,
                          void *stream, void **params, void **) {
  if (standIn().quiet)
    return 0;
  KVQ_RETURN_FAILURE("hipModuleLaunchKernel");
  standIn().launch(function, {gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes, stream,
                   params);
  return 0;
}
}
