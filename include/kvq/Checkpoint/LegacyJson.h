//===- LegacyJson.h - vLLM's kv_cache_scales.json ---------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The one-file format of vLLM 0.4 to early 2025: one number per layer and rank,
// for k and v.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_CHECKPOINT_LEGACYJSON_H
#define KVQ_CHECKPOINT_LEGACYJSON_H

#include "kvq/Checkpoint/Checkpoint.h"
#include "kvq/Checkpoint/HfConfig.h"
#include "kvq/Checkpoint/InputFile.h"

namespace kvq {

/// Reads the file at `path`. `config` gives the number of layers, their
/// geometry and the type to compare with; null for none.
llvm::Expected<Checkpoint> readLegacyJson(llvm::StringRef path, const HfConfig *config,
                                          const ReadOptions &options, ReadLog &log);

/// vLLM's error for a file that is not there.
llvm::Error legacyFileNotFound(llvm::StringRef path);

} // namespace kvq

#endif // KVQ_CHECKPOINT_LEGACYJSON_H
