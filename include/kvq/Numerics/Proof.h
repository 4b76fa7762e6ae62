//===- Proof.h - The cheapest arithmetic with the same bits -----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For one constant scale, finds the cheapest arithmetic that gives the bits of
// the reference (Reference.h) for every input of the source type.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_NUMERICS_PROOF_H
#define KVQ_NUMERICS_PROOF_H

#include "kvq/Numerics/Arithmetic.h"

namespace kvq {

/// An arithmetic and what showed it to be right.
struct Proof {
  Arithmetic arithmetic;
  /// How many inputs of the source type (for a load: how many codes) were tried,
  /// or, with `bySwitchPoints`, how many evaluations of the candidate the search
  /// for its switch points took.
  uint64_t inputsTried = 0;
  bool bySwitchPoints = false;
};

/// The cheapest store arithmetic from `source` to `format` for x / scale.
/// `scale` is positive and finite.
Proof proveStore(SourceType source, Fp8Format format, float scale);

/// The cheapest load arithmetic from `format` to `source` for c * scale.
/// `scale` is positive and finite.
Proof proveLoad(Fp8Format format, SourceType source, float scale);

} // namespace kvq

#endif // KVQ_NUMERICS_PROOF_H
