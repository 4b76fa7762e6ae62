//===- Hash.cpp - SHA-256 of files ----------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Artefact/Hash.h"
#include <openssl/evp.h>

using namespace kvq;

static constexpr std::string_view digits = "0123456789abcdef";

Result<std::string> kvq::sha256Text(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr))
    return Failure{"libcrypto cannot compute a SHA-256"};
  std::string text;
  for (unsigned index = 0; index < size; ++index) {
    text += digits[digest[index] >> 4];
    text += digits[digest[index] & 15];
  }
  return text;
}

bool kvq::isSha256Text(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of(digits) == std::string_view::npos;
}
