//===- DLPack.h - The structs that tensors are exchanged in -----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The binary interface of DLPack 1.3, as far as a consumer needs it: tensors,
// their capsules with and without a version, and the table of functions that a
// framework may offer to do without capsules (`__dlpack_c_exchange_api__`).
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_PYTHON_DLPACK_H
#define KVQ_PYTHON_DLPACK_H

#include <cstdint>

namespace kvq::python::dlpack {

struct Version {
  uint32_t major, minor;
};

/// The major version whose structs these are.
inline constexpr uint32_t kMajorVersion = 1;

enum DeviceType : int32_t {
  CPU = 1,
  CUDA = 2,
  CUDAHost = 3,
  ROCM = 10,
  ROCMHost = 11,
  CUDAManaged = 13,
};

struct Device {
  DeviceType type;
  int32_t id;
};

enum DataTypeCode : uint8_t {
  Int = 0,
  UInt = 1,
  Float = 2,
  BFloat = 4,
  Bool = 6,
  Float8E4M3FN = 10,
  Float8E4M3FNUZ = 11,
  Float8E5M2 = 12,
  Float8E5M2FNUZ = 13,
};

struct DataType {
  uint8_t code, bits;
  uint16_t lanes;

  bool operator==(const DataType &other) const {
    return code == other.code && bits == other.bits && lanes == other.lanes;
  }
};

struct Tensor {
  void *data;
  Device device;
  int32_t ndim;
  DataType dtype;
  int64_t *shape;
  /// In elements; before version 1.2 null for a compact tensor.
  int64_t *strides;
  uint64_t byteOffset;
};

/// What a capsule called 'dltensor' points to.
struct ManagedTensor {
  Tensor tensor;
  void *context;
  void (*deleter)(ManagedTensor *);
};

/// What a capsule called 'dltensor_versioned' points to.
struct ManagedTensorVersioned {
  Version version;
  void *context;
  void (*deleter)(ManagedTensorVersioned *);
  uint64_t flags;
  Tensor tensor;
};

inline constexpr uint64_t kFlagReadOnly = 1;

struct ExchangeHeader {
  Version version;
  /// A table of an older major version, or null.
  ExchangeHeader *previous;
};

/// What a capsule called 'dlpack_exchange_api' points to, as long as the process
/// lives. Results are 0, or −1 with a Python exception.
struct ExchangeTable {
  ExchangeHeader header;
  int (*allocate)(Tensor *, ManagedTensorVersioned **, void *,
                  void (*)(void *, const char *, const char *));
  int (*toManaged)(void *object, ManagedTensorVersioned **tensor);
  int (*fromManaged)(ManagedTensorVersioned *tensor, void **object);
  /// A view that lives until control returns to Python; may be null.
  int (*toTensor)(void *object, Tensor *tensor);
  int (*currentStream)(DeviceType type, int32_t device, void **stream);
};

} // namespace kvq::python::dlpack

#endif // KVQ_PYTHON_DLPACK_H
