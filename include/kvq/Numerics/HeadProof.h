//===- HeadProof.h - One arithmetic for the scales of all heads -*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Scales per head have constants per head, but one method, so that a kernel's
// code is the same for all heads and only looks its constants up.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_NUMERICS_HEADPROOF_H
#define KVQ_NUMERICS_HEADPROOF_H

#include "kvq/Numerics/Proof.h"
#include <vector>

namespace kvq {

/// For each of `scales`, all positive and finite, a store's arithmetic for
/// x / scale and what showed it to be right; all are of one method of float32
/// arithmetic, the cheapest that could be shown right for every one of them.
std::vector<Proof> proveStores(SourceType source, Fp8Format format, llvm::ArrayRef<float> scales);

/// The same of loads, for c * scale.
std::vector<Proof> proveLoads(Fp8Format format, SourceType source, llvm::ArrayRef<float> scales);

} // namespace kvq

#endif // KVQ_NUMERICS_HEADPROOF_H
