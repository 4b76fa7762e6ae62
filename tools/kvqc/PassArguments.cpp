//===- PassArguments.cpp - Options that are those of passes ---------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PassArguments.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace kvq;

llvm::Error PassArguments::read(KernelOptions &options) const {
  for (const PassFlag *flag : flags)
    flag->set(flag->option, options);
  for (const PassArgument *argument : all)
    if (argument->isGiven())
      if (llvm::Error error =
              argument->set(argument->option.ArgStr, argument->option.getValue(), options))
        return error;
  return llvm::Error::success();
}

llvm::Expected<double> kvq::parseConstant(llvm::StringRef name, llvm::StringRef text) {
  double value = 0;
  bool isNumber = llvm::to_float(text, value);
  float narrow = isNumber ? float(value) : 0.0f;
  if (narrow > 0 && std::isfinite(narrow))
    return value;
  return llvm::createStringError("expected '--" + name +
                                 "' to be a positive float32 number, but got " + quoteName(text));
}

llvm::Expected<int64_t> kvq::parseAlign(llvm::StringRef name, llvm::StringRef text) {
  llvm::Expected<int64_t> align = number(1, 32)(name, text);
  if (align && !llvm::isPowerOf2_64(*align))
    return llvm::createStringError("expected '--" + name +
                                   "' to be 1, 2, 4, 8, 16 or 32, but got " + quoteName(text));
  return align;
}
