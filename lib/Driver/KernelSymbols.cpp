//===- KernelSymbols.cpp - Kernels that a code object holds ---------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelSymbols.h"
#include "kvq/Json/Json.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/BinaryFormat/MsgPackReader.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/Endian.h"
#include <map>

using namespace llvm;
using namespace kvq;

//===----------------------------------------------------------------------===//
// PTX
//===----------------------------------------------------------------------===//

/// The size of a parameter as '.param .u64 .ptr .global .align 16 name' has it;
/// nullopt for a type that no kernel of kvq takes.
static std::optional<int64_t> sizeOfParameter(StringRef parameter) {
  SmallVector<StringRef> words;
  parameter.split(words, ' ', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  if (words.size() < 3 || words.front() != ".param")
    return std::nullopt;
  StringRef type = words[1];
  if (type == ".u64" || type == ".s64" || type == ".b64")
    return 8;
  if (type == ".u32" || type == ".s32" || type == ".b32")
    return 4;
  return std::nullopt;
}

Expected<KernelSymbols> kvq::readPTX(StringRef text) {
  KernelSymbols symbols;
  StringRef rest = text;
  auto field = [&](StringRef name) {
    return text.split(("\n" + name + " ").str()).second.split('\n').first.trim();
  };
  if (field(".version").empty())
    return createStringError("expected PTX with a '.version'");
  symbols.chip = field(".target").split(',').first.str();
  while (true) {
    rest = rest.split(".entry ").second;
    if (rest.empty())
      return symbols;
    auto [name, body] = rest.split('(');
    size_t end = body.find(')');
    if (end == StringRef::npos)
      return createStringError("expected PTX, but an entry's parameters have no end");
    KernelSymbol &kernel = symbols.kernels[name.trim()];
    std::string list = body.take_front(end).str();
    std::replace_if(
        list.begin(), list.end(), [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
    SmallVector<StringRef> parameters;
    StringRef(list).split(parameters, ',', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
    std::vector<int64_t> sizes;
    for (StringRef parameter : parameters)
      if (std::optional<int64_t> size = sizeOfParameter(parameter))
        sizes.push_back(*size);
    if (sizes.size() == parameters.size())
      kernel.argumentSizes = std::move(sizes);
    StringRef head = body.drop_front(end).split('{').first;
    int64_t threads = 0;
    if (!head.split(".maxntid ").second.split(',').first.trim().getAsInteger(10, threads))
      kernel.maxThreads = threads;
    rest = body.drop_front(end);
  }
}

//===----------------------------------------------------------------------===//
// AMD's metadata
//===----------------------------------------------------------------------===//

/// Reads one object and what is in it. (LLVM's msgpack::Document traps where a
/// key is a map.)
static Error readObject(msgpack::Reader &reader, JsonValue &value, unsigned depth) {
  auto malformed = [] {
    return createStringError("expected metadata of kernels, but it is malformed");
  };
  constexpr unsigned deepest = 16;
  msgpack::Object object;
  Expected<bool> isRead = reader.read(object);
  if (!isRead)
    return isRead.takeError();
  if (!*isRead || depth > deepest)
    return malformed();
  switch (object.Kind) {
  case msgpack::Type::Int:
  case msgpack::Type::UInt:
    value.kind = JsonValue::Kind::Number;
    if (object.Kind == msgpack::Type::UInt || object.Int >= 0)
      value.number.natural = object.UInt;
    return Error::success();
  case msgpack::Type::String:
    value.kind = JsonValue::Kind::String;
    value.string = object.Raw.str();
    return Error::success();
  case msgpack::Type::Array:
    value.kind = JsonValue::Kind::Array;
    for (size_t left = object.Length; left; --left)
      if (Error error = readObject(reader, value.elements.emplace_back(), depth + 1))
        return error;
    return Error::success();
  case msgpack::Type::Map:
    value.kind = JsonValue::Kind::Object;
    for (size_t left = object.Length; left; --left) {
      JsonValue key;
      if (Error error = readObject(reader, key, depth + 1))
        return error;
      if (!key.isString())
        return malformed();
      auto &member = value.members.emplace_back(std::move(key.string), JsonValue());
      if (Error error = readObject(reader, member.second, depth + 1))
        return error;
    }
    return Error::success();
  default:
    return Error::success();
  }
}

static std::optional<int64_t> findNumber(const JsonValue &object, StringRef key) {
  const JsonValue *found = object.find(key);
  if (!found || !found->number.natural || *found->number.natural > uint64_t(INT64_MAX))
    return std::nullopt;
  return int64_t(*found->number.natural);
}

/// Adds what the metadata says of the kernels that are there.
static Error addMetadata(StringRef blob, KernelSymbols &symbols) {
  JsonValue root;
  msgpack::Reader reader(blob);
  if (Error error = readObject(reader, root, 0))
    return error;
  // 'amdgcn-amd-amdhsa--gfx942', with ':' and features behind where it has any.
  StringRef target = root.findString("amdhsa.target");
  symbols.chip = target.rsplit('-').second.split(':').first.str();
  const JsonValue *kernels = root.find("amdhsa.kernels");
  if (!kernels || !kernels->isArray())
    return createStringError("expected metadata with 'amdhsa.kernels'");
  for (const JsonValue &entry : kernels->elements) {
    auto found = symbols.kernels.find(entry.findString(".name"));
    if (found == symbols.kernels.end())
      continue;
    found->second.maxThreads = findNumber(entry, ".max_flat_workgroup_size");
    std::vector<int64_t> &sizes = found->second.argumentSizes.emplace();
    if (const JsonValue *arguments = entry.find(".args"))
      for (const JsonValue &argument : arguments->elements)
        if (!StringRef(argument.findString(".value_kind")).starts_with("hidden_"))
          sizes.push_back(findNumber(argument, ".size").value_or(0));
  }
  return Error::success();
}

//===----------------------------------------------------------------------===//
// ELF
//===----------------------------------------------------------------------===//

using ElfFile = object::ELF64LEFile;

/// The functions that a table of symbols defines. AMD's kernels have a descriptor
/// beside the function, which is what is launched.
static Error addFunctions(const ElfFile &elf, const ElfFile::Elf_Shdr &table,
                          KernelSymbols &symbols) {
  auto list = elf.symbols(&table);
  if (!list)
    return list.takeError();
  auto sections = elf.sections();
  if (!sections)
    return sections.takeError();
  auto strings = elf.getStringTableForSymtab(table, *sections);
  if (!strings)
    return strings.takeError();
  bool isAmd = elf.getHeader().e_machine == ELF::EM_AMDGPU;
  for (const ElfFile::Elf_Sym &symbol : *list) {
    if (symbol.st_shndx == ELF::SHN_UNDEF || symbol.getBinding() == ELF::STB_LOCAL)
      continue;
    auto name = symbol.getName(*strings);
    if (!name)
      return name.takeError();
    if (isAmd ? name->consume_back(".kd") : symbol.getType() == ELF::STT_FUNC)
      symbols.kernels.try_emplace(*name);
  }
  return Error::success();
}

static Error addNotes(const ElfFile &elf, const ElfFile::Elf_Shdr &section,
                      KernelSymbols &symbols) {
  Error error = Error::success();
  for (const ElfFile::Elf_Note &note : elf.notes(section, error))
    if (note.getType() == ELF::NT_AMDGPU_METADATA && note.getName() == "AMDGPU") {
      if (Error wrong = addMetadata(note.getDescAsStringRef(section.sh_addralign), symbols))
        return joinErrors(std::move(error), std::move(wrong));
    }
  return error;
}

/// Reads the attributes of a kernel of a cubin: a form and a name of one byte each,
/// then a number of two or, of the form 4, as many bytes as these say.
static Error readAttributes(StringRef data, KernelSymbol &kernel) {
  constexpr uint8_t sized = 4, parameter = 0x17, maxThreads = 0x05;
  constexpr unsigned sizeShift = 18;
  using llvm::support::endian::read16le, llvm::support::endian::read32le;
  auto malformed = [] {
    return createStringError("expected attributes of a kernel, but they are malformed");
  };
  std::map<uint16_t, int64_t> sizes;
  while (!data.empty()) {
    if (data.size() < 4)
      return malformed();
    uint8_t form = data[0], name = data[1];
    uint16_t number = read16le(data.data() + 2);
    data = data.drop_front(4);
    if (form != sized)
      continue;
    if (number > data.size())
      return malformed();
    StringRef value = data.take_front(number);
    data = data.drop_front(number);
    if (name != parameter && name != maxThreads)
      continue;
    if (value.size() != 12)
      return malformed();
    // Of a parameter: an index, its ordinal and offset, and bits with its size.
    if (name == parameter)
      sizes[read16le(value.data() + 4)] = read32le(value.data() + 8) >> sizeShift;
    else
      kernel.maxThreads =
          int64_t(read32le(value.data())) * read32le(value.data() + 4) * read32le(value.data() + 8);
  }
  if (sizes.empty())
    return Error::success();
  if (sizes.rbegin()->first + 1u != sizes.size())
    return malformed();
  auto &list = kernel.argumentSizes.emplace();
  for (const auto &[ordinal, size] : sizes)
    list.push_back(size);
  return Error::success();
}

/// Adds what the sections '.nv.info.KERNEL' of a cubin say of the kernels that are
/// there.
static Error addAttributes(const ElfFile &elf, const ElfFile::Elf_Shdr &section,
                           KernelSymbols &symbols) {
  auto name = elf.getSectionName(section);
  if (!name)
    return name.takeError();
  if (!name->consume_front(".nv.info."))
    return Error::success();
  auto found = symbols.kernels.find(*name);
  if (found == symbols.kernels.end())
    return Error::success();
  auto contents = elf.getSectionContents(section);
  if (!contents)
    return contents.takeError();
  return readAttributes(toStringRef(*contents), found->second);
}

static constexpr uint16_t machineOfThisProcess =
#if defined(__x86_64__)
    ELF::EM_X86_64;
#elif defined(__aarch64__)
    ELF::EM_AARCH64;
#else
    ELF::EM_NONE;
#endif

/// The chip of a cubin: in the second byte of the flags since version 8 of the
/// ABI, in the first before.
static std::string chipOfCubin(const ElfFile::Elf_Ehdr &header) {
  unsigned flags = header.e_flags;
  unsigned version = header.e_ident[ELF::EI_ABIVERSION];
  return "sm_" + std::to_string((version >= 8 ? flags >> 8 : flags) & 0xff);
}

Expected<KernelSymbols> kvq::readElf(StringRef bytes) {
  if (!bytes.starts_with(StringRef(ELF::ElfMagic, 4)))
    return createStringError("expected an ELF file");
  if (bytes.size() < sizeof(ElfFile::Elf_Ehdr) || bytes[ELF::EI_CLASS] != ELF::ELFCLASS64 ||
      bytes[ELF::EI_DATA] != ELF::ELFDATA2LSB)
    return createStringError("expected a whole ELF file of 64 bits");
  auto elf = ElfFile::create(bytes);
  if (!elf)
    return elf.takeError();
  KernelSymbols symbols;
  const ElfFile::Elf_Ehdr &header = elf->getHeader();
  if (header.e_machine == ELF::EM_CUDA)
    symbols.chip = chipOfCubin(header);
  else if (header.e_machine == machineOfThisProcess)
    symbols.chip = "host";
  auto sections = elf->sections();
  if (!sections)
    return sections.takeError();
  // A shared object may have lost its other symbols; a cubin has no dynamic ones.
  uint32_t wanted = header.e_machine == ELF::EM_CUDA ? ELF::SHT_SYMTAB : ELF::SHT_DYNSYM;
  for (const ElfFile::Elf_Shdr &section : *sections)
    if (section.sh_type == wanted)
      if (Error error = addFunctions(*elf, section, symbols))
        return error;
  for (const ElfFile::Elf_Shdr &section : *sections) {
    if (header.e_machine == ELF::EM_CUDA)
      if (Error error = addAttributes(*elf, section, symbols))
        return error;
    if (header.e_machine == ELF::EM_AMDGPU)
      if (section.sh_type == ELF::SHT_NOTE)
        if (Error error = addNotes(*elf, section, symbols))
          return error;
  }
  return symbols;
}
