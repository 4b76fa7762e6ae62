//===- NameOptions.h - Names as values of options ---------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_SUPPORT_NAMEOPTIONS_H
#define KVQ_SUPPORT_NAMEOPTIONS_H

#include "kvq/Support/Names.h"
#include "llvm/Support/CommandLine.h"

namespace kvq {

/// The values of an option whose type is an enumeration of Names.def.
template <typename Enum> llvm::cl::ValuesClass nameValues();

#define KVQ_ENUM_BEGIN(Enum, What)                                                                 \
  template <> inline llvm::cl::ValuesClass nameValues<Enum>() {                                    \
    return llvm::cl::ValuesClass({
#define KVQ_CASE(Enum, Case, Spelling) clEnumValN(Enum::Case, Spelling, ""),
#define KVQ_ENUM_END(Enum)                                                                         \
  });                                                                                              \
  }
#include "kvq/Support/Names.def"

} // namespace kvq

#endif // KVQ_SUPPORT_NAMEOPTIONS_H
