//===- HostObject.cpp - Shared objects for this machine -------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The shared object needs no library and no start-up files: it is code and its
// constants. What LLVM makes of copies (memcpy and its kin) is found in the
// process that loads it.
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"
#include "HostVersions.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace kvq;

llvm::ArrayRef<llvm::StringRef> kvq::hostRuntimeSymbols() {
  static const llvm::StringRef symbols[] = {"memcpy", "memmove", "memset"};
  return symbols;
}

llvm::Expected<CodeObject> kvq::linkSharedObject(llvm::ArrayRef<llvm::StringRef> objects,
                                                 const ChipInfo &chip) {
  llvm::SmallVector<llvm::StringRef> inputs(objects);
  CodeObject detection;
  if (llvm::Triple(llvm::sys::getProcessTriple()).isX86_64()) {
    if (llvm::Error error = emitObject(chip, addDetection).moveInto(detection))
      return error;
    inputs.push_back(bytesOf(detection));
  }
  return linkShared(
      inputs,
      {"--hash-style=gnu", "-z", "noexecstack", "-z", "relro", "-z", "now", "--build-id=none"},
      hostRuntimeSymbols());
}

llvm::Expected<CodeObject> kvq::toSharedObject(mlir::Operation *module, const ChipInfo &chip) {
  if (chip.backend != Backend::Host)
    return oneLineError("expected the host, but got '" + chip.name + "'");
  llvm::Expected<CodeObject> object = toObject(module, chip);
  if (!object)
    return object.takeError();
  return linkSharedObject(bytesOf(*object), chip);
}
