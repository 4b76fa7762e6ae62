//===- Findings.h - What is odd about the scales ----------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Remarks on the files' values, with what is known of the tools that wrote them.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_CHECKPOINT_FINDINGS_H
#define KVQ_CHECKPOINT_FINDINGS_H

#include "kvq/Checkpoint/Checkpoint.h"
#include "kvq/Checkpoint/ScaleFormat.h"

namespace kvq {

/// Adds notes to the layers and to the checkpoint on values: not finite, zero,
/// negative, far from the other layers', all 1.0, perhaps reciprocals, several
/// numbers, rounded by the model's type.
void noteValues(Checkpoint &checkpoint);

/// Adds notes on what is announced and absent, or there and not announced.
void noteAnnouncement(Checkpoint &checkpoint, const FormatFacts &facts);

} // namespace kvq

#endif // KVQ_CHECKPOINT_FINDINGS_H
