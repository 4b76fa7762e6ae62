//===- StepCounts.h - What a chip takes for each step -----------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_FOLD_STEPCOUNTS_H
#define KVQ_LIB_FOLD_STEPCOUNTS_H

#include "kvq/Numerics/Candidates.h"
#include "kvq/Target/ChipInfo.h"

namespace kvq {

/// The instructions that `chip` takes for the steps of a load or a store of
/// eight values of `format`.
StepCounts getStepCounts(const ChipInfo &chip, Fp8Format format, bool isLoad);

} // namespace kvq

#endif // KVQ_LIB_FOLD_STEPCOUNTS_H
