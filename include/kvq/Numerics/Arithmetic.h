//===- Arithmetic.h - Ways to apply a constant scale ------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_NUMERICS_ARITHMETIC_H
#define KVQ_NUMERICS_ARITHMETIC_H

#include "kvq/Support/Names.h"

namespace kvq {

/// How a kernel applies a constant scale to a float32 value x, every operation
/// rounded to nearest even:
///
///   none       x
///   multiply   x * a
///   two_step   fma(x, a, x * b), for a store: a is 1/scale rounded toward zero
///              and b >= 0 the rounded rest
///   divide     x / a, a the scale itself
struct Arithmetic {
  Method method = Method::Divide;
  float a = 1.0f, b = 0.0f;
};

} // namespace kvq

#endif // KVQ_NUMERICS_ARITHMETIC_H
