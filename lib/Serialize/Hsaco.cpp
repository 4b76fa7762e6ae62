//===- Hsaco.cpp - Code objects for AMD -----------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"

using namespace kvq;

llvm::Expected<CodeObject> kvq::toHSACO(mlir::Operation *module, const ChipInfo &chip) {
  if (chip.backend != Backend::ROCDL)
    return oneLineError("expected a chip of the ROCDL backend, but got '" + chip.name + "'");
  llvm::Expected<CodeObject> object = emitCode(module, chip, llvm::CodeGenFileType::ObjectFile);
  if (!object)
    return object.takeError();
  return linkShared(*object, {"--no-undefined"}, /*allowed=*/{});
}
