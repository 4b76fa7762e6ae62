//===- CodeObject.cpp - Whether a code object is whole --------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CodeObject.h"
#include "Refusal.h"
#include "kvq/Json/Quote.h"
#include <cstring>
#include <elf.h>

using namespace kvq;
using namespace kvq::runtime;

namespace {

/// A 64-bit little-endian ELF file, as cubins, hsacos and shared objects are.
class Elf {
public:
  Elf(const std::string &file, const std::string &bytes) : file(file), bytes(bytes) {}

  void check() const;

private:
  [[noreturn]] void fail(const std::string &text) const {
    throw Refusal(KVQ_ERROR_ARTEFACT, escapeText(file) + ": expected " + text);
  }

  /// That `size` bytes from `offset` are there.
  void require(uint64_t offset, uint64_t size, const char *what) const {
    if (offset > bytes.size() || size > bytes.size() - offset)
      fail(std::string(what) + " within " + std::to_string(bytes.size()) +
           " bytes, but they end beyond");
  }

  /// The `index`-th entry of a table that was required.
  template <typename Entry> Entry at(uint64_t table, uint64_t index) const {
    Entry entry;
    memcpy(&entry, bytes.data() + table + index * sizeof(Entry), sizeof(Entry));
    return entry;
  }

  template <typename Entry>
  void requireTable(uint64_t offset, uint64_t count, uint64_t entrySize, const char *what) const {
    if (count == 0)
      return;
    if (entrySize != sizeof(Entry))
      fail(std::string(what) + " of " + std::to_string(sizeof(Entry)) + " bytes, but got " +
           std::to_string(entrySize));
    require(offset, count * sizeof(Entry), what);
  }

  const std::string &file;
  const std::string &bytes;
};

} // namespace

void Elf::check() const {
  if (bytes.size() < sizeof(Elf64_Ehdr) || memcmp(bytes.data(), ELFMAG, SELFMAG) != 0 ||
      bytes[EI_CLASS] != ELFCLASS64 || bytes[EI_DATA] != ELFDATA2LSB)
    fail("a 64-bit little-endian ELF file");
  auto header = at<Elf64_Ehdr>(0, 0);
  requireTable<Elf64_Phdr>(header.e_phoff, header.e_phnum, header.e_phentsize, "program headers");
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    auto segment = at<Elf64_Phdr>(header.e_phoff, i);
    require(segment.p_offset, segment.p_filesz, "segments");
  }
  requireTable<Elf64_Shdr>(header.e_shoff, header.e_shnum, header.e_shentsize, "section headers");
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    auto section = at<Elf64_Shdr>(header.e_shoff, i);
    if (section.sh_type != SHT_NOBITS)
      require(section.sh_offset, section.sh_size, "sections");
  }
}

void kvq::runtime::checkCodeObject(const CodeChoice &choice, const std::string &bytes) {
  if (choice.fileKind != "ptx")
    return Elf(choice.file, bytes).check();
  // The driver reads up to the first zero.
  if (bytes.empty() || bytes.find('\0') != std::string::npos)
    throw Refusal(KVQ_ERROR_ARTEFACT, escapeText(choice.file) + ": expected the text of PTX");
}
