//===- LaunchProgram.h - Sizes of grids and blocks --------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_RUNTIME_LAUNCHPROGRAM_H
#define KVQ_LIB_RUNTIME_LAUNCHPROGRAM_H

#include "kvq/Artefact/Manifest.h"
#include "kvq/Runtime/kvq_runtime.h"

namespace kvq::runtime {

/// A size of a grid or a block as a postfix program over the values of a
/// kernel's arguments: nothing is looked up when it runs.
class LaunchProgram {
public:
  /// The program of `size`, whose names are among `args`. Throws Refusal where
  /// one is not, or where the program needs more than `kMostValues` at once.
  LaunchProgram(const LaunchSize &size, const std::vector<ManifestArgument> &args);

  /// Its result; false where a number does not fit 64 bits or a divisor is not
  /// positive.
  bool run(const kvq_value *values, int64_t &result) const noexcept;

  static constexpr size_t kMostValues = 16;

private:
  struct Step {
    LaunchSize::Kind kind;
    /// Of a number or an argument's index.
    int64_t operand;
  };

  /// Appends the steps of `size`, which leave one value above `below` others.
  void compile(const LaunchSize &size, const std::vector<ManifestArgument> &args, size_t below);

  std::vector<Step> steps;
};

} // namespace kvq::runtime

#endif // KVQ_LIB_RUNTIME_LAUNCHPROGRAM_H
