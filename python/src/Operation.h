//===- Operation.h - An operation of a layer, on tensors --------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_PYTHON_OPERATION_H
#define KVQ_PYTHON_OPERATION_H

#include "TensorArgument.h"
#include "kvq/Runtime/Runtime.h"

namespace kvq::python {

/// A layer's kernels for one operation, called with tensors.
class Operation {
public:
  /// Raises kvq.Error where the kernel has arguments that nothing here gives.
  Operation(runtime::Kernel kernel, const kvq_artefact_info &artefact);

  /// Checks the tensors and launches. Positional ones are those of `getTensors`
  /// without the keywords, in order, and then the stream.
  void call(PyObject *const *arguments, Py_ssize_t numPositional, PyObject *keywords) const;

  const std::vector<TensorArgument> &getTensors() const { return tensors; }
  const runtime::Kernel &getKernel() const { return kernel; }

private:
  /// More than any operation has.
  static constexpr size_t kMaxTensors = 16;

  /// A scalar of the kernel, and what it is taken from.
  struct Scalar {
    enum class Source { Tokens, Blocks, Sequences, Size, Stride };
    size_t index;
    Source source;
    /// Of a size or stride: the tensor's place in the list, and the dimension.
    size_t tensor = 0;
    int dimension = 0;
  };

  /// What a caller gives, by the places of tensors.
  struct Given {
    nanobind::handle tensors[kMaxTensors];
    nanobind::handle stream;
    nanobind::handle numTokens;
  };

  class Views;
  class LaunchStream;

  Scalar makeScalar(const kvq_argument_info &argument, const kvq_kernel_info &info) const;
  /// The place of a tensor in the list; its end where there is none.
  size_t findTensor(const std::string &name) const;
  void collect(PyObject *const *arguments, Py_ssize_t count, PyObject *keywords,
               Given &given) const;
  nanobind::handle &findKeyword(PyObject *name, Given &given) const;
  void checkDevice(const TensorArgument &argument, const TensorView &view) const;
  int64_t countTokens(const Given &given, const Views &views) const;
  int64_t countBlocks(const Views &views) const;
  void checkTogether(const Views &views) const;
  int64_t evaluate(const Scalar &scalar, const Views &views, int64_t tokens, int64_t blocks) const;
  [[noreturn]] void refuse(const std::string &text) const;

  runtime::Kernel kernel;
  kvq_device_kind deviceKind;
  int32_t ordinal;
  int64_t headSize;
  std::string prefix;
  std::vector<TensorArgument> tensors;
  std::vector<Scalar> scalars;
  /// Places of tensors that others have to agree with; beyond the list for none.
  size_t slots, lens, latent, rotary;
  size_t numArguments, numPositional = 0;
  bool hasTokens = false;
};

} // namespace kvq::python

#endif // KVQ_PYTHON_OPERATION_H
