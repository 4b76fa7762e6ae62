//===- TensorView.h - A Python tensor, as a kernel needs it -----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_PYTHON_TENSORVIEW_H
#define KVQ_PYTHON_TENSORVIEW_H

#include "DLPack.h"
#include <nanobind/nanobind.h>
#include <string>

namespace kvq::python {

/// The memory of a tensor of any framework, which is not copied. It is taken, the
/// fastest way first, by DLPack's table of functions (torch), as a buffer (numpy,
/// with ml_dtypes' types, which numpy itself does not export), or by a capsule
/// of `__dlpack__`, which makes the stream of the launch wait for what its framework
/// still has to do on others (jax's arrays are made on streams that nobody sees).
/// The object has to outlive the view.
class TensorView {
public:
  static constexpr int kMaxDims = 8;

  /// The stream of the launch, looked up where it is needed.
  class Stream {
  public:
    virtual ~Stream() = default;
    /// As `__dlpack__` takes it.
    virtual int64_t getNumber() = 0;
  };

  /// Raises kvq.Error, which calls the object `name`, where it is no tensor.
  TensorView(nanobind::handle object, const char *name, Stream &stream);
  TensorView(const TensorView &) = delete;
  TensorView &operator=(const TensorView &) = delete;

  char *data = nullptr;
  dlpack::Device device = {dlpack::CPU, 0};
  dlpack::DataType dtype = {0, 0, 1};
  int ndim = 0;
  int64_t shape[kMaxDims];
  /// In elements.
  int64_t strides[kMaxDims];
  bool isReadOnly = false;
  /// The functions of the tensor's framework; null where it offers none.
  const dlpack::ExchangeTable *exchange = nullptr;

  /// Whether the elements from dimension `first` on lie side by side, in order.
  bool isCompactFrom(int first) const;

private:
  void takeTensor(const dlpack::Tensor &tensor, const char *name);
  void takeBuffer(nanobind::handle object, const char *name);
  void takeCapsule(nanobind::handle object, const char *name, Stream &stream);

  /// A buffer that is released with the view.
  struct Buffer {
    ~Buffer() {
      if (isTaken)
        PyBuffer_Release(&view);
    }
    Py_buffer view;
    bool isTaken = false;
  };

  Buffer buffer;
  nanobind::object capsule;
};

/// "float8_e4m3fn": a type as frameworks call it.
std::string describe(const dlpack::DataType &dtype);

/// "cpu", "cuda:1".
std::string describe(const dlpack::Device &device);

} // namespace kvq::python

#endif // KVQ_PYTHON_TENSORVIEW_H
