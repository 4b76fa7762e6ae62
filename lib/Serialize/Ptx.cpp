//===- Ptx.cpp - PTX for NVIDIA -------------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"
#include "llvm/Support/VersionTuple.h"
#include <optional>

using namespace kvq;

llvm::Expected<std::string> kvq::toPTX(mlir::Operation *module, const ChipInfo &chip) {
  if (chip.backend != Backend::NVVM)
    return oneLineError("expected a chip of the NVVM backend, but got '" + chip.name + "'");
  llvm::Expected<CodeObject> text = emitCode(module, chip, llvm::CodeGenFileType::AssemblyFile);
  if (!text)
    return text.takeError();
  return std::string(text->begin(), text->end());
}

namespace {

/// What is said of all of a text of PTX, around its version.
struct Header {
  llvm::StringRef before;
  llvm::VersionTuple version;
  llvm::StringRef after;
};

} // namespace

/// Takes the header from `ptx`.
static std::optional<Header> takeHeader(llvm::StringRef &ptx) {
  constexpr llvm::StringLiteral directive = "\n.version ", lastLine = "\n.address_size 64\n";
  size_t version = ptx.find(directive), last = ptx.find(lastLine);
  if (version == llvm::StringRef::npos || last == llvm::StringRef::npos || last < version)
    return std::nullopt;
  version += directive.size();
  Header header{ptx.take_front(version), {}, {}};
  llvm::StringRef rest = ptx.take_front(last + lastLine.size()).drop_front(version);
  header.after = rest.drop_front(rest.find('\n'));
  if (header.version.tryParse(rest.drop_back(header.after.size())))
    return std::nullopt;
  ptx = ptx.drop_front(last + lastLine.size());
  return header;
}

llvm::Expected<std::string> kvq::joinPTX(llvm::ArrayRef<llvm::StringRef> parts) {
  Header header;
  std::string bodies;
  for (llvm::StringRef part : parts) {
    std::optional<Header> own = takeHeader(part);
    if (!own)
      return oneLineError("expected the header of PTX, but found none");
    if (header.before.empty())
      header = *own;
    if (own->before != header.before || own->after != header.after)
      return oneLineError("expected PTX with the header of the parts before it");
    header.version = std::max(header.version, own->version);
    bodies += part;
  }
  return (header.before + header.version.getAsString() + header.after + bodies).str();
}
