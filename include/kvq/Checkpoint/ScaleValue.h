//===- ScaleValue.h - The numbers of a scale --------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From the bytes of a tensor to float32.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_CHECKPOINT_SCALEVALUE_H
#define KVQ_CHECKPOINT_SCALEVALUE_H

#include "kvq/Checkpoint/Checkpoint.h"
#include "kvq/Checkpoint/Shards.h"

namespace kvq {

/// Reads a scale: F64, F32, F16 or BF16, at least one number, rounded to the
/// nearest float32, ties to even.
llvm::Expected<CheckpointScale> readScale(const ShardSet &shards, const StoredTensor &tensor);

/// Whether the two hold the same numbers, bit for bit, whatever their shapes.
bool sameValues(const CheckpointScale &a, const CheckpointScale &b);

/// Whether all elements of the zero point are zero.
llvm::Expected<bool> isZeroPoint(const ShardSet &shards, const StoredTensor &tensor);

/// `value` rounded to bfloat16 or float16, ties to even.
float roundToSource(float value, SourceType type);

/// "0.023", or for several numbers their shape.
std::string describeScale(const CheckpointScale &scale);

} // namespace kvq

#endif // KVQ_CHECKPOINT_SCALEVALUE_H
