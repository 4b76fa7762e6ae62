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

using namespace kvq;

llvm::ArrayRef<llvm::StringRef> kvq::hostRuntimeSymbols() {
  static const llvm::StringRef symbols[] = {"memcpy", "memmove", "memset"};
  return symbols;
}

llvm::Expected<CodeObject> kvq::toSharedObject(mlir::Operation *module, const ChipInfo &chip) {
  if (chip.backend != Backend::Host)
    return oneLineError("expected the host, but got '" + chip.name + "'");
  llvm::Expected<CodeObject> object = emitCode(module, chip, llvm::CodeGenFileType::ObjectFile);
  if (!object)
    return object.takeError();
  return linkShared(
      *object,
      {"--hash-style=gnu", "-z", "noexecstack", "-z", "relro", "-z", "now", "--build-id=none"},
      hostRuntimeSymbols());
}
