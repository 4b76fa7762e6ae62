//===- Hsaco.cpp - Code objects for AMD -----------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"

using namespace kvq;

llvm::Expected<CodeObject> kvq::linkHSACO(llvm::ArrayRef<llvm::StringRef> objects) {
  llvm::Expected<std::vector<CodeObject>> gathered = gatherNotes(objects);
  if (!gathered)
    return gathered.takeError();
  for (CodeObject &object : llvm::MutableArrayRef(*gathered).drop_back())
    if (llvm::Error error = trimCodeEnd(object))
      return error;
  llvm::SmallVector<llvm::StringRef> inputs;
  for (const CodeObject &object : *gathered)
    inputs.push_back(bytesOf(object));
  // LLVM says what registers a kernel needs in ten local symbols each, for its own
  // assembler; loaders read the descriptor.
  return linkShared(inputs, {"--no-undefined", "--discard-all"}, /*allowed=*/{});
}

llvm::Expected<CodeObject> kvq::toHSACO(mlir::Operation *module, const ChipInfo &chip) {
  if (chip.backend != Backend::ROCDL)
    return oneLineError("expected a chip of the ROCDL backend, but got '" + chip.name + "'");
  llvm::Expected<CodeObject> object = toObject(module, chip);
  if (!object)
    return object.takeError();
  return linkHSACO(bytesOf(*object));
}
