//===- RuleNotes.h - What kvq remarks on a resolution -----------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_RESOLVE_RULENOTES_H
#define KVQ_LIB_RESOLVE_RULENOTES_H

namespace kvq {

struct RuleInput;
struct RuleOutput;

/// Adds to `output` the notes on what the rules made of `input`: values not
/// finite, scales ignored, quirks at work, engines of today that would differ.
void addNotes(const RuleInput &input, RuleOutput &output);

} // namespace kvq

#endif // KVQ_LIB_RESOLVE_RULENOTES_H
