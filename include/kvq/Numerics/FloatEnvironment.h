//===- FloatEnvironment.h - The arithmetic the proofs rest on ---*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_NUMERICS_FLOATENVIRONMENT_H
#define KVQ_NUMERICS_FLOATENVIRONMENT_H

#include <cfenv>

namespace kvq {

/// While it lives, this thread rounds to nearest even and keeps subnormals. The
/// compiler may run inside a program (Python with a library built for fast
/// mathematics) that flushes subnormals to zero: a proof would then be one of
/// other functions.
class FloatEnvironment {
public:
  FloatEnvironment() {
    std::fegetenv(&saved);
    std::fesetenv(FE_DFL_ENV);
  }
  ~FloatEnvironment() { std::fesetenv(&saved); }
  FloatEnvironment(const FloatEnvironment &) = delete;
  FloatEnvironment &operator=(const FloatEnvironment &) = delete;

private:
  std::fenv_t saved;
};

} // namespace kvq

#endif // KVQ_NUMERICS_FLOATENVIRONMENT_H
