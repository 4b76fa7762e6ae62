//===- PassArguments.cpp - Options that are those of passes ---------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PassArguments.h"

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
