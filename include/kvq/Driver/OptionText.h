//===- OptionText.h - The values of options, from their text ----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What kvqc's options may be, and what an error says of one that is wrong: for
// kvqc's command line, and for callers that have options as words.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DRIVER_OPTIONTEXT_H
#define KVQ_DRIVER_OPTIONTEXT_H

#include "kvq/Support/Names.h"
#include "kvq/Support/Quote.h"
#include "llvm/Support/Error.h"

namespace kvq {

/// The largest number that makes sense for a size that is not otherwise bounded.
inline constexpr int64_t kLargestSize = 1 << 20;

/// The value of an option whose values are the words of Names.def; `option` is its
/// name without dashes.
template <typename Enum>
llvm::Expected<Enum> parseWord(llvm::StringRef option, llvm::StringRef word) {
  if (std::optional<Enum> value = symbolize<Enum>(word))
    return *value;
  return llvm::createStringError("expected '--" + option + "' to be one of " + listNames<Enum>() +
                                 ", but got " + quoteName(word));
}

/// The value of an option that is a number from `least` to `most`; `option` is its
/// name with the dashes.
llvm::Expected<int64_t> parseNumber(llvm::StringRef option, llvm::StringRef text, int64_t least,
                                    int64_t most);

/// Parses a divisor as a float32 holds it.
llvm::Expected<double> parseConstant(llvm::StringRef option, llvm::StringRef text);

/// Parses a number of bytes that addresses can be multiples of.
llvm::Expected<int64_t> parseAlign(llvm::StringRef option, llvm::StringRef text);

} // namespace kvq

#endif // KVQ_DRIVER_OPTIONTEXT_H
