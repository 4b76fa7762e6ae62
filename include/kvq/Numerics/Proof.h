//===- Proof.h - The cheapest arithmetic with the same bits -----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For one constant scale, finds the cheapest arithmetic that gives the bits of
// the reference (Reference.h) for every input of the source type, in one of two
// ways.
//
// By trying: all 65,536 values of a 16-bit source, all 256 codes for a load.
//
// By switch points, for the 2^32 values of a float32: the reference and every
// candidate are monotone functions of x, so on each side of zero the reference
// takes a code on one run of consecutive values. The ends of the runs are found
// by bisection over the ordered bit patterns. A candidate that gives the
// reference's code at both ends of a run gives it, being monotone, in all of the
// run; with the NaNs, which are tried apart, that is every input.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_NUMERICS_PROOF_H
#define KVQ_NUMERICS_PROOF_H

#include "kvq/Numerics/Candidates.h"

namespace kvq {

/// An arithmetic and what showed it to be right.
struct Proof {
  Arithmetic arithmetic;
  /// On how many inputs of the source type (for a load: on how many codes) the
  /// arithmetic was evaluated and found right: all of them, or, with
  /// `bySwitchPoints`, the ends of the runs and the special values.
  uint64_t inputsTried = 0;
  bool bySwitchPoints = false;
};

/// The cheapest store arithmetic from `source` to `format` for x / scale on a chip
/// of such `counts`. `scale` is positive and finite.
Proof proveStore(SourceType source, Fp8Format format, float scale, const StepCounts &counts = {});

/// The cheapest load arithmetic from `format` to `source` for c * scale on a chip
/// of such `counts`. `scale` is positive and finite.
Proof proveLoad(Fp8Format format, SourceType source, float scale, const StepCounts &counts = {});

/// Whether one arithmetic equals the reference, and on how many inputs it was
/// evaluated until that was known.
struct Trial {
  bool holds;
  uint64_t evaluations;
};

/// Evaluates a store's arithmetic for x / scale on every value of `source`,
/// bf16 or f16 (f32 would take minutes).
Trial tryEveryInput(SourceType source, Fp8Format format, float scale, const Arithmetic &arithmetic);

/// Compares a store's arithmetic with x / scale at the reference's switch points
/// among the values of `source`, any type. The arithmetic must be monotone, as
/// every candidate is.
Trial trySwitchPoints(SourceType source, Fp8Format format, float scale,
                      const Arithmetic &arithmetic);

/// Evaluates a load's arithmetic for c * scale on every code of `format`.
Trial tryEveryCode(Fp8Format format, SourceType source, float scale, const Arithmetic &arithmetic);

} // namespace kvq

#endif // KVQ_NUMERICS_PROOF_H
