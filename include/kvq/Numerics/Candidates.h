//===- Candidates.h - Arithmetic that may stand for a scale -----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The ways to apply one constant scale that are worth a try, cheapest first.
// Whether one is right is Proof.h's to show. Every candidate is a monotone
// function of its input, which the proof by switch points rests on.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_NUMERICS_CANDIDATES_H
#define KVQ_NUMERICS_CANDIDATES_H

#include "kvq/Numerics/Arithmetic.h"
#include "llvm/ADT/SmallVector.h"

namespace kvq {

struct Candidate {
  Arithmetic arithmetic;
  /// What it takes on every target, roughly: float32 instructions per value.
  unsigned cost;
};

/// Ways to divide by `scale`, cheapest first; the last is the division. A
/// reciprocal that overflows or is subnormal is not tried, nor is a two_step
/// whose second term vanishes (it would make infinity * 0) or is subnormal.
llvm::SmallVector<Candidate, 4> getStoreCandidates(float scale);

/// Ways to multiply by `scale`, cheapest first; the last is the multiplication.
llvm::SmallVector<Candidate, 4> getLoadCandidates(float scale);

/// What `arithmetic` makes of `x`. Method::MultiplyPacked and Method::Argument
/// are no functions of one float32: not a number.
float apply(const Arithmetic &arithmetic, float x);

/// The same for every value of `inputs`.
void apply(const Arithmetic &arithmetic, llvm::ArrayRef<float> inputs,
           llvm::MutableArrayRef<float> results);

} // namespace kvq

#endif // KVQ_NUMERICS_CANDIDATES_H
