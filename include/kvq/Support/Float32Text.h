//===- Float32Text.h - float32 to text and back -----------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The one spelling of a float32 in JSON, messages and listings: the shortest
// decimal that reads back to the same bits (of a NaN only that it is one),
// always with a point or an exponent.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_SUPPORT_FLOAT32TEXT_H
#define KVQ_SUPPORT_FLOAT32TEXT_H

#include "kvq/Support/Float32Format.h"
#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>

namespace kvq {

/// The float32 nearest (ties to even) to a decimal, or what formatFloat32
/// writes for a value that is not finite. Beyond the range it is an infinity or
/// a zero. nullopt for any other text: blanks, a '+' in front, hexadecimal.
std::optional<float> parseFloat32(llvm::StringRef text);

} // namespace kvq

#endif // KVQ_SUPPORT_FLOAT32TEXT_H
