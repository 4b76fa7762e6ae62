//===- ImportCheckpoint.h - Checkpoints become kvq.attention ops -*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_IMPORT_IMPORTCHECKPOINT_H
#define KVQ_IMPORT_IMPORTCHECKPOINT_H

#include "kvq/Checkpoint/Checkpoint.h"
#include "mlir/IR/BuiltinOps.h"

namespace kvq {

/// What an import decides beside the checkpoint itself.
struct ImportOptions {
  KVCacheDtype dtype = KVCacheDtype::Fp8;
  bool calculateKVScales = false;
  /// In place of the checkpoint's own source type.
  std::optional<SourceType> sourceType;
};

/// Adds a kvq.attention for each layer of `checkpoint` to `module`, and the
/// module's attribute `kvq.checkpoint`. A layer's location is the name of the
/// tensor of its first scale in the file that holds it, below `path`.
void importCheckpoint(const Checkpoint &checkpoint, llvm::StringRef path,
                      const ImportOptions &options, mlir::ModuleOp module);

} // namespace kvq

#endif // KVQ_IMPORT_IMPORTCHECKPOINT_H
