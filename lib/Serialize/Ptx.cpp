//===- Ptx.cpp - PTX for NVIDIA -------------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"

using namespace kvq;

llvm::Expected<std::string> kvq::toPTX(mlir::Operation *module, const ChipInfo &chip) {
  if (chip.backend != Backend::NVVM)
    return oneLineError("expected a chip of the NVVM backend, but got '" + chip.name + "'");
  llvm::Expected<CodeObject> text = emitCode(module, chip, llvm::CodeGenFileType::AssemblyFile);
  if (!text)
    return text.takeError();
  return std::string(text->begin(), text->end());
}
