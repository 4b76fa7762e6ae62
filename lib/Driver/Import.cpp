//===- Import.cpp - What kvqc import does ---------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Import.h"

using namespace mlir;
using namespace kvq;

llvm::Expected<std::string> kvq::importToText(const InputOptions &options) {
  llvm::Expected<LoadedInput> loaded = LoadedInput::open(options);
  if (!loaded)
    return loaded.takeError();
  std::string text;
  llvm::raw_string_ostream os(text);
  loaded->module->print(os);
  return text;
}
