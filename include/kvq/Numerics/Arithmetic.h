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

/// How a kernel applies a constant scale to a value x, every operation rounded
/// to nearest even, in float32 but for the packed one:
///
///   none             x; a load decodes it in the type `in`
///   multiply         x * a
///   multiply_packed  x * a, two values an instruction, x, a and the product in
///                    the 16-bit type `in`
///   two_step         fma(x, a, x * b), for a store: a is 1/scale rounded toward
///                    zero and b >= 0 the rounded rest
///   divide           x / a, a the scale itself
///
/// A load then rounds to its type: to nearest even, or toward zero where
/// `truncates` says that `a` was chosen so.
struct Arithmetic {
  Method method = Method::Divide;
  float a = 1.0f, b = 0.0f;
  SourceType in = SourceType::F32;
  bool truncates = false;
};

} // namespace kvq

#endif // KVQ_NUMERICS_ARITHMETIC_H
