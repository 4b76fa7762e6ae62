//===- Passes.h - Every pass, in pipeline order -----------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_PASSES_H
#define KVQ_PASSES_H

#include "kvq/Support/Float32Option.h"
#include "kvq/Support/NameOptions.h"
#include "mlir/Pass/Pass.h"

namespace mlir {
class ModuleOp;
} // namespace mlir

namespace kvq {

#define GEN_PASS_DECL
#include "kvq/Passes.h.inc"

} // namespace kvq

#endif // KVQ_PASSES_H
