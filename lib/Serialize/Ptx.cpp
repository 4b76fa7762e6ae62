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

/// Where the entries of a text of PTX begin: behind what is said of all of it.
static size_t findBody(llvm::StringRef ptx) {
  constexpr llvm::StringLiteral lastLine = "\n.address_size 64\n";
  size_t place = ptx.find(lastLine);
  return place == llvm::StringRef::npos ? place : place + lastLine.size();
}

llvm::Expected<std::string> kvq::joinPTX(llvm::ArrayRef<llvm::StringRef> parts) {
  std::string joined;
  llvm::StringRef header;
  for (llvm::StringRef part : parts) {
    size_t body = findBody(part);
    if (body == llvm::StringRef::npos)
      return oneLineError("expected the header of PTX, but found none");
    if (header.empty())
      header = part.substr(0, body), joined = header.str();
    if (part.substr(0, body) != header)
      return oneLineError("expected PTX with the header of the parts before it");
    joined += part.substr(body);
  }
  return joined;
}
