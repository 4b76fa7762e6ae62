//===- Hash.h - SHA-256 of files --------------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_ARTEFACT_HASH_H
#define KVQ_ARTEFACT_HASH_H

#include "kvq/Json/Result.h"
#include <string>
#include <string_view>

namespace kvq {

/// The SHA-256 of `bytes` as 64 lower hexadecimal digits, by libcrypto. Fails
/// where libcrypto has none, as under a policy of the machine, or no memory.
Result<std::string> sha256Text(std::string_view bytes);

/// Whether `text` is 64 lower hexadecimal digits.
bool isSha256Text(std::string_view text);

} // namespace kvq

#endif // KVQ_ARTEFACT_HASH_H
