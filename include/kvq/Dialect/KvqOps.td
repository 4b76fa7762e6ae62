//===- KvqOps.td - Every op of the kvq dialect -------------*- tablegen -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DIALECT_KVQOPS_TD
#define KVQ_DIALECT_KVQOPS_TD

include "kvq/Dialect/KvqCacheOps.td"
include "kvq/Dialect/KvqElementOps.td"
include "kvq/Dialect/KvqModelOps.td"

#endif // KVQ_DIALECT_KVQOPS_TD
