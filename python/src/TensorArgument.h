//===- TensorArgument.h - What a kernel's tensors have to be ----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A manifest names a kernel's pointers; the shapes and types of the tensors
// behind them follow from the names, the operation and the geometry.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_PYTHON_TENSORARGUMENT_H
#define KVQ_PYTHON_TENSORARGUMENT_H

#include "TensorView.h"
#include "kvq/Runtime/kvq_runtime.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kvq::python {

/// What a tensor is to its operation.
enum class Role {
  /// [tokens, …], with compact rows.
  Rows,
  /// [blocks, …], by block, page and head strides.
  StridedCache,
  /// [blocks, …], with compact blocks.
  CompactCache,
  SlotMapping,
  BlockTable,
  CuSeqLens,
  SeqStarts,
  /// One element.
  Single,
};

struct TensorArgument {
  std::string name;
  /// Among the kernel's arguments.
  size_t index = 0;
  Role role = Role::Single;
  bool isWritten = false, isNullable = false;
  /// Whether callers give it by its name alone.
  bool isKeyword = false;
  /// The place of the rows that it is made from, whose shape it has.
  size_t isCopyOf = SIZE_MAX;
  std::vector<dlpack::DataType> types;
  /// The shapes that it may have behind the first dimension; −1 is any size.
  std::vector<std::vector<int64_t>> shapes;

  /// What the pointer `argument` of a kernel takes; none where its name says
  /// nothing.
  static std::optional<TensorArgument> make(const kvq_argument_info &argument, size_t index,
                                            const kvq_kernel_info &info);

  bool isCache() const { return role == Role::StridedCache || role == Role::CompactCache; }

  /// What is wrong with `view`, as the text of an error; empty where it suits.
  std::string findFault(const TensorView &view) const;
};

/// The dimension of a cache that a stride of its layout walks, of 'block', 'page'
/// and 'head'.
int getStrideDimension(const std::string &layout, const std::string &stride);

} // namespace kvq::python

#endif // KVQ_PYTHON_TENSORARGUMENT_H
