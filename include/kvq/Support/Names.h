//===- Names.h - Enumerations of the public surface -------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The enumerations of Names.def and, for each of them:
//
//   llvm::StringRef stringify(Enum)               the spelling
//   std::optional<Enum> symbolize<Enum>(text)     the case with that spelling
//   llvm::ArrayRef<Enum> allValues<Enum>()        every case, in order
//   llvm::StringRef describe<Enum>()              what a message calls it
//   std::string listNames<Enum>()                 "'bf16', 'f16', 'f32'"
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_SUPPORT_NAMES_H
#define KVQ_SUPPORT_NAMES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <optional>
#include <string>

namespace kvq {

#define KVQ_ENUM_BEGIN(Enum, What) enum class Enum : uint32_t {
#define KVQ_CASE(Enum, Case, Spelling) Case,
#define KVQ_ENUM_END(Enum)                                                                         \
  }                                                                                                \
  ;
#include "kvq/Support/Names.def"

template <typename Enum> std::optional<Enum> symbolize(llvm::StringRef text);
template <typename Enum> llvm::ArrayRef<Enum> allValues();
template <typename Enum> llvm::StringRef describe();

#define KVQ_ENUM_BEGIN(Enum, What)                                                                 \
  llvm::StringRef stringify(Enum value);                                                           \
  template <> std::optional<Enum> symbolize<Enum>(llvm::StringRef text);                           \
  template <> llvm::ArrayRef<Enum> allValues<Enum>();                                              \
  template <> llvm::StringRef describe<Enum>();
#include "kvq/Support/Names.def"

/// The spellings of an enumeration for a message, quoted and in order.
template <typename Enum> std::string listNames() {
  std::string text;
  for (Enum value : allValues<Enum>()) {
    text += text.empty() ? "'" : ", '";
    text += stringify(value).str() + "'";
  }
  return text;
}

} // namespace kvq

#endif // KVQ_SUPPORT_NAMES_H
