//===- memory.h - Memory that host and device share -------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An engine has memory and streams of its own. The example takes managed memory
// from the driver, so that the same loop runs on a GPU and on the host.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_EXAMPLES_MEMORY_H
#define KVQ_EXAMPLES_MEMORY_H

#include "kvq/Runtime/Runtime.h"
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <vector>

/// A device's driver, and what was allocated from it.
class Memory {
public:
  /// Of CUDA makes the primary context of device 0 current on this thread.
  explicit Memory(kvq_device_kind kind) {
    if (kind == KVQ_DEVICE_CUDA) {
      open("KVQ_CUDA_LIBRARY", "libcuda.so.1");
      int device = 0;
      void *context = nullptr;
      check(find<int(unsigned)>("cuInit")(0));
      check(find<int(int *, int)>("cuDeviceGet")(&device, 0));
      check(find<int(void **, int)>("cuDevicePrimaryCtxRetain")(&context, device));
      check(find<int(void *)>("cuCtxPushCurrent_v2")(context));
      allocateManaged = find<Allocate>("cuMemAllocManaged");
      release = find<int(void *)>("cuMemFree_v2");
      synchronize = find<int()>("cuCtxSynchronize");
    } else if (kind == KVQ_DEVICE_HIP) {
      open("KVQ_HIP_LIBRARY", "libamdhip64.so");
      allocateManaged = find<Allocate>("hipMallocManaged");
      release = find<int(void *)>("hipFree");
      synchronize = find<int()>("hipDeviceSynchronize");
    }
  }
  ~Memory() {
    for (void *pointer : allocated)
      release ? void(release(pointer)) : free(pointer);
  }
  Memory(const Memory &) = delete;

  /// `count` zeros, aligned for every kernel, that live as long as this.
  template <typename T> T *allocate(size_t count) {
    // A whole number of alignments, as aligned_alloc wants it.
    const size_t size = (count * sizeof(T) / 256 + 1) * 256;
    void *pointer = allocateManaged ? nullptr : aligned_alloc(256, size);
    if (allocateManaged)
      check(allocateManaged(&pointer, size, /*attach to all*/ 1));
    allocated.push_back(pointer);
    return static_cast<T *>(memset(pointer, 0, size));
  }

  /// Until the launched kernels are done, after which the host may look.
  void wait() const {
    if (synchronize)
      check(synchronize());
  }

private:
  using Allocate = int(void **pointer, size_t size, unsigned flags);

  void open(const char *variable, const char *name) {
    const char *named = getenv(variable);
    library = dlopen(named ? named : name, RTLD_NOW | RTLD_LOCAL);
    if (!library)
      throw std::runtime_error(dlerror());
  }

  template <typename Function> Function *find(const char *name) const {
    if (void *found = dlsym(library, name))
      return reinterpret_cast<Function *>(found);
    throw std::runtime_error(std::string("the driver has no ") + name);
  }

  static void check(int code) {
    if (code != 0)
      throw std::runtime_error("the driver's memory failed with " + std::to_string(code));
  }

  void *library = nullptr;
  Allocate *allocateManaged = nullptr;
  int (*release)(void *) = nullptr;
  int (*synchronize)() = nullptr;
  std::vector<void *> allocated;
};

#endif // KVQ_EXAMPLES_MEMORY_H
