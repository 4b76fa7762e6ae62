//===- AmdgpuNotes.cpp - One metadata note for many objects ---------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every object that LLVM emits for AMDGPU says in a note of its own what its
// kernels take (AMDGPUUsage, "Code Object V5 Metadata"). A linker would put the
// notes one behind another; loaders are made for one, so its kernels are gathered
// before. Section headers are changed in place: the first object's note moves to
// the end of the file, those of the others are left out of the link.
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/BinaryFormat/MsgPackDocument.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/Endian.h"

using namespace kvq;
using Elf = llvm::object::ELF64LE;

namespace {

/// Name of the notes of AMD, and the list of kernels in their document.
constexpr llvm::StringLiteral owner = "AMDGPU", kernelsKey = "amdhsa.kernels";

/// The note section of an object, and the MessagePack document in it.
struct Metadata {
  /// The bytes of the section's header.
  size_t header;
  llvm::StringRef document;
};

llvm::Expected<Metadata> findMetadata(llvm::StringRef object) {
  auto file = llvm::object::ELFFile<Elf>::create(object);
  if (!file)
    return file.takeError();
  auto sections = file->sections();
  if (!sections)
    return sections.takeError();
  for (const Elf::Shdr &section : *sections) {
    if (section.sh_type != llvm::ELF::SHT_NOTE)
      continue;
    llvm::StringRef document;
    llvm::Error error = llvm::Error::success();
    for (Elf::Note note : file->notes(section, error))
      if (note.getType() == llvm::ELF::NT_AMDGPU_METADATA && note.getName() == owner)
        document = note.getDescAsStringRef(section.sh_addralign);
    if (error)
      return error;
    if (!document.empty())
      return Metadata{size_t(reinterpret_cast<const char *>(&section) - object.data()), document};
  }
  return oneLineError("expected the metadata of kernels in an AMDGPU object, but found none");
}

/// What becomes of two values for one key: kernels come one behind another, all
/// else is the same in every object for a chip.
int mergeNodes(llvm::msgpack::DocNode *into, llvm::msgpack::DocNode from,
               llvm::msgpack::DocNode key) {
  if (into->isArray() && from.isArray()) {
    bool isKernels = key.isString() && key.getString() == kernelsKey;
    return isKernels ? int(into->getArray().size()) : 0;
  }
  if (into->getKind() != from.getKind())
    return -1;
  if (!into->isMap())
    *into = from;
  return 0;
}

Elf::Shdr &headerAt(CodeObject &object, size_t offset) {
  return *reinterpret_cast<Elf::Shdr *>(object.data() + offset);
}

/// Adds `document` as a note at the end of `object`, in place of the section whose
/// header is at `header`.
void replaceNote(CodeObject &object, size_t header, llvm::StringRef document) {
  constexpr size_t alignment = 4;
  auto pad = [&] { object.resize(llvm::alignTo(object.size(), alignment)); };
  auto append = [&](size_t number) {
    char bytes[sizeof(uint32_t)];
    llvm::support::endian::write32le(bytes, uint32_t(number));
    object.append(bytes, bytes + sizeof(bytes));
  };
  pad();
  size_t start = object.size();
  append(owner.size() + 1);
  append(document.size());
  append(llvm::ELF::NT_AMDGPU_METADATA);
  object.append(owner.begin(), owner.end());
  object.push_back('\0');
  pad();
  object.append(document.begin(), document.end());
  pad();
  headerAt(object, header).sh_offset = start;
  headerAt(object, header).sh_size = object.size() - start;
}

} // namespace

llvm::Expected<std::vector<CodeObject>> kvq::gatherNotes(llvm::ArrayRef<llvm::StringRef> objects) {
  std::vector<CodeObject> gathered;
  if (objects.size() == 1)
    return std::vector{CodeObject(objects[0].begin(), objects[0].end())};
  llvm::msgpack::Document all;
  size_t first = 0;
  for (auto [index, object] : llvm::enumerate(objects)) {
    llvm::Expected<Metadata> found = findMetadata(object);
    if (!found)
      return found.takeError();
    if (!all.readFromBlob(found->document, /*Multi=*/false, mergeNodes))
      return oneLineError("expected metadata of AMDGPU objects that agree, but got others");
    gathered.emplace_back(object.begin(), object.end());
    if (index == 0)
      first = found->header;
    else
      headerAt(gathered.back(), found->header).sh_flags |= llvm::ELF::SHF_EXCLUDE;
  }
  std::string document;
  all.writeToBlob(document);
  if (!gathered.empty())
    replaceNote(gathered.front(), first, document);
  return gathered;
}
