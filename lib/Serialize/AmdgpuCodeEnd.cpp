//===- AmdgpuCodeEnd.cpp - One end of the code for many objects -----------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A chip fetches instructions from beyond a kernel's end, so LLVM puts as many
// behind the last kernel of each object as may be fetched: 1 KiB for gfx942. Where
// another object's kernels follow, these are what is fetched.
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/MathExtras.h"

using namespace kvq;
using Elf = llvm::object::ELF64LE;

/// Where the last function of the section numbered `section` ends.
static llvm::Expected<uint64_t> findEnd(const llvm::object::ELFFile<Elf> &file,
                                        Elf::ShdrRange sections, unsigned section) {
  uint64_t end = 0;
  for (const Elf::Shdr &table : sections) {
    if (table.sh_type != llvm::ELF::SHT_SYMTAB)
      continue;
    auto symbols = file.symbols(&table);
    if (!symbols)
      return symbols.takeError();
    for (const Elf::Sym &symbol : *symbols)
      if (symbol.st_shndx == section && symbol.getType() == llvm::ELF::STT_FUNC)
        end = std::max<uint64_t>(end, symbol.st_value + symbol.st_size);
  }
  return end;
}

llvm::Error kvq::trimCodeEnd(CodeObject &object) {
  auto file = llvm::object::ELFFile<Elf>::create(bytesOf(object));
  if (!file)
    return file.takeError();
  auto sections = file->sections();
  if (!sections)
    return sections.takeError();
  for (auto [index, section] : llvm::enumerate(*sections)) {
    if (!(section.sh_flags & llvm::ELF::SHF_EXECINSTR))
      continue;
    llvm::Expected<uint64_t> end = findEnd(*file, *sections, index);
    if (!end)
      return end.takeError();
    // The next kernel is aligned, and what fills the gap is already there.
    uint64_t size = llvm::alignTo(*end, std::max<uint64_t>(section.sh_addralign, 1));
    if (*end == 0 || size >= section.sh_size)
      continue;
    auto offset = reinterpret_cast<const char *>(&section) - object.data();
    reinterpret_cast<Elf::Shdr *>(object.data() + offset)->sh_size = size;
  }
  return llvm::Error::success();
}
