//===- Names.cpp - Enumerations of the public surface ---------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Support/Names.h"

namespace {

#define KVQ_ENUM_BEGIN(Enum, What) const kvq::Enum values##Enum[] = {
#define KVQ_CASE(Enum, Case, Spelling) kvq::Enum::Case,
#define KVQ_ENUM_END(Enum)                                                                         \
  }                                                                                                \
  ;
#include "kvq/Support/Names.def"

} // namespace

namespace kvq {

#define KVQ_ENUM_BEGIN(Enum, What)                                                                 \
  llvm::StringRef stringify(Enum value) {                                                          \
    switch (value) {
#define KVQ_CASE(Enum, Case, Spelling)                                                             \
  case Enum::Case:                                                                                 \
    return Spelling;
#define KVQ_ENUM_END(Enum)                                                                         \
  }                                                                                                \
  return {};                                                                                       \
  }
#include "kvq/Support/Names.def"

#define KVQ_ENUM_BEGIN(Enum, What)                                                                 \
  template <> llvm::ArrayRef<Enum> allValues<Enum>() { return values##Enum; }                      \
  template <> llvm::StringRef describe<Enum>() { return What; }                                    \
  template <> std::optional<Enum> symbolize<Enum>(llvm::StringRef text) {                          \
    for (Enum value : allValues<Enum>())                                                           \
      if (stringify(value) == text)                                                                \
        return value;                                                                              \
    return std::nullopt;                                                                           \
  }
#include "kvq/Support/Names.def"

} // namespace kvq
