//===- ResolveScales.h - Rules applied to layers in IR ----------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_RESOLVE_RESOLVESCALES_H
#define KVQ_RESOLVE_RESOLVESCALES_H

#include "kvq/Dialect/Kvq.h"
#include "kvq/Resolve/Rules.h"

namespace kvq {

/// What the rules make of one layer as it stands in IR; `format` is the
/// checkpoint's, as far as the module says it. With `perHead` a k or v of several
/// numbers is taken per KV head.
RuleOutput resolveLayer(AttentionOp layer, bool fnuz, bool perHead);

} // namespace kvq

#endif // KVQ_RESOLVE_RESOLVESCALES_H
