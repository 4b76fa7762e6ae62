//===- OptionText.cpp - The values of options, from their text ------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/OptionText.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace kvq;

llvm::Expected<int64_t> kvq::parseNumber(llvm::StringRef option, llvm::StringRef text,
                                         int64_t least, int64_t most) {
  int64_t value;
  if (!text.getAsInteger(10, value) && value >= least && value <= most)
    return value;
  return llvm::createStringError("expected '" + option + "' to be a number from " +
                                 llvm::Twine(least) + " to " + llvm::Twine(most) + ", but got " +
                                 quoteName(text));
}

llvm::Expected<double> kvq::parseConstant(llvm::StringRef option, llvm::StringRef text) {
  double value = 0;
  bool isNumber = llvm::to_float(text, value);
  float narrow = isNumber ? float(value) : 0.0f;
  if (narrow > 0 && std::isfinite(narrow))
    return value;
  return llvm::createStringError("expected '--" + option +
                                 "' to be a positive float32 number, but got " + quoteName(text));
}

llvm::Expected<int64_t> kvq::parseAlign(llvm::StringRef option, llvm::StringRef text) {
  llvm::Expected<int64_t> align = parseNumber(("--" + option).str(), text, 1, 32);
  if (align && !llvm::isPowerOf2_64(*align))
    return llvm::createStringError("expected '--" + option +
                                   "' to be 1, 2, 4, 8, 16 or 32, but got " + quoteName(text));
  return align;
}
