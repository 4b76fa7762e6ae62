//===- Kernel.h - The kernels of one operation of one layer -----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_RUNTIME_KERNEL_H
#define KVQ_LIB_RUNTIME_KERNEL_H

#include "Device.h"
#include "LaunchProgram.h"

namespace kvq::runtime {

/// A kernel of the manifest with its loaded function, and what a launch checks
/// and computes, by the arguments' indices.
struct Variant {
  /// Throws Refusal where a launch could not be made from the manifest's entry.
  Variant(const ManifestKernel &entry, void *function);

  const ManifestKernel *entry;
  void *function;
  /// For each argument the bits that have to be 0; all where there are none.
  std::vector<uint64_t> zeroBits;
  /// Arguments with a divisor that is no power of two.
  std::vector<std::pair<uint32_t, int64_t>> multiples;
  std::array<LaunchProgram, 3> grid, block;
};

} // namespace kvq::runtime

/// Immutable once made.
struct kvq_kernel {
  /// The `variants`, at least one, have the same arguments, but for those at the
  /// end, which take their scales as arguments behind the others.
  kvq_kernel(const kvq::runtime::Device &device, std::string layer, std::string op,
             std::vector<kvq::runtime::Variant> variants);

  const kvq::runtime::Variant &first() const { return variants.front(); }
  /// With the scales, where some variant takes them.
  size_t numArguments() const { return variants.back().entry->args.size(); }

  /// How `values` are launched; KVQ_OK with `variant` null where there is no work.
  kvq_status plan(const kvq_value *values, size_t numValues, kvq::runtime::LaunchPlan &plan,
                  const kvq::runtime::Variant *&variant, kvq_error *error) const noexcept;

  kvq_status launch(const kvq_value *values, size_t numValues, void *stream,
                    kvq_error *error) const noexcept;

  kvq_argument_info describeArgument(size_t index) const;

  const kvq::runtime::Device &device;
  const std::string layer, op;
  const std::vector<kvq::runtime::Variant> variants;

private:
  /// Variants of equal arguments, the most demanding first.
  struct Choice {
    const kvq::runtime::Variant *begin, *end;

    const kvq::runtime::Variant &last() const { return end[-1]; }
    size_t numArguments() const { return begin->entry->args.size(); }
  };

  Choice withoutScales() const { return {variants.data(), variants.data() + numWithoutScales}; }
  Choice withScales() const {
    return {variants.data() + numWithoutScales, variants.data() + variants.size()};
  }
  /// The variants that `values`, as many as some take, are for.
  Choice choose(const kvq_value *values, size_t numValues) const noexcept;

  bool fits(const kvq::runtime::Variant &variant, const kvq_value *values) const noexcept;

  /// Fills the sizes of `plan`; 1 where all are there, 0 where one is not
  /// positive, -1 where one is too large.
  int computeSizes(const kvq::runtime::Variant &variant, const kvq_value *values,
                   kvq::runtime::LaunchPlan &plan) const noexcept;

  // What is wrong, in words.
  std::string describeCount(const kvq_value *values, size_t numValues) const;
  std::string describeMisfit(const Choice &choice, const kvq_value *values) const;
  std::string describeSizes(const kvq::runtime::Variant &variant, const kvq_value *values) const;

  template <typename Function>
  kvq_status refuse(kvq_error *error, kvq_status status, int code,
                    Function describe) const noexcept;

  /// How many variants do not take scales that others take: all or none of those
  /// that are there.
  size_t numWithoutScales = 0;

  /// Arguments that say how much work there is, pointers that may not be null,
  /// and i32 scalars, by their indices; of all variants, where they have them.
  std::vector<uint32_t> work, pointers, narrow;
};

#endif // KVQ_LIB_RUNTIME_KERNEL_H
