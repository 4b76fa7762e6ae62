//===- LinkTest.cpp - Kernels that are serialised one by one --------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Modules.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/BinaryFormat/MsgPackDocument.h"
#include "llvm/Object/ELF.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>
#include <map>
#include <numeric>

using namespace kvq;
using namespace kvq::test;

namespace {

llvm::StringRef bytes(const CodeObject &code) { return {code.data(), code.size()}; }

std::string replaceAll(std::string text, llvm::StringRef from, llvm::StringRef to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::string textOf(mlir::Operation *module) {
  std::string text;
  llvm::raw_string_ostream(text) << *module;
  return text;
}

/// The kernel of copyKernel under another name.
Parsed copyKernelNamed(const ChipInfo &chip, llvm::StringRef name) {
  Parsed kernel = copyKernel(chip);
  return parse(replaceAll(textOf(kernel.module->getOperation()), "@copy", ("@" + name).str()));
}

/// Two objects, of kernels 'first' and 'second'.
std::pair<CodeObject, CodeObject> twoObjects(const ChipInfo &chip) {
  return {take(toObject(copyKernelNamed(chip, "first").get(), chip)),
          take(toObject(copyKernelNamed(chip, "second").get(), chip))};
}

/// The documents in the notes of AMD of a code object.
std::vector<std::string> metadataOf(const CodeObject &code) {
  using Elf = llvm::object::ELF64LE;
  std::vector<std::string> documents;
  auto file = llvm::cantFail(llvm::object::ELFFile<Elf>::create(bytes(code)));
  for (const Elf::Phdr &segment : take(file.program_headers())) {
    if (segment.p_type != llvm::ELF::PT_NOTE)
      continue;
    llvm::Error error = llvm::Error::success();
    for (Elf::Note note : file.notes(segment, error))
      if (note.getType() == llvm::ELF::NT_AMDGPU_METADATA)
        documents.push_back(note.getDescAsStringRef(segment.p_align).str());
    EXPECT_FALSE(bool(error));
  }
  return documents;
}

/// The code of a code object: its size, and the bytes of each function in it.
struct Code {
  uint64_t size = 0;
  std::map<std::string, std::string> functions;
  std::vector<std::string> localSymbols;
};

Code codeOf(const CodeObject &object) {
  using Elf = llvm::object::ELF64LE;
  Code code;
  auto file = llvm::cantFail(llvm::object::ELFFile<Elf>::create(bytes(object)));
  for (const Elf::Shdr &section : take(file.sections())) {
    if (section.sh_flags & llvm::ELF::SHF_EXECINSTR)
      code.size += section.sh_size;
    if (section.sh_type != llvm::ELF::SHT_SYMTAB)
      continue;
    for (const Elf::Sym &symbol : take(file.symbols(&section))) {
      std::string name = take(symbol.getName(take(file.getStringTableForSymtab(section)))).str();
      if (symbol.getBinding() == llvm::ELF::STB_LOCAL && !name.empty())
        code.localSymbols.push_back(name);
      if (symbol.getType() != llvm::ELF::STT_FUNC)
        continue;
      const Elf::Shdr *owner = take(file.getSection(symbol.st_shndx));
      llvm::ArrayRef<uint8_t> contents = take(file.getSectionContents(*owner));
      auto function = contents.slice(symbol.st_value - owner->sh_addr, symbol.st_size);
      code.functions[name] = std::string(function.begin(), function.end());
    }
  }
  return code;
}

/// The text of one module with the kernels 'first' and 'second'.
std::string textOfBoth(const ChipInfo &chip) {
  std::string both = textOf(copyKernelNamed(chip, "first").get());
  std::string other = textOf(copyKernelNamed(chip, "second").get());
  size_t begin = other.find("llvm.func"), end = other.rfind("}");
  return both.insert(both.rfind("}"), other.substr(begin, end - begin));
}

class LinkedHsacoOfEachChip : public testing::TestWithParam<const ChipInfo *> {};

/// One way to assemble and link; skipped where it is absent.
class LinkedCubin : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    setenv("KVQ_PTX_ASSEMBLER", GetParam(), /*overwrite=*/1);
    if (!canLinkCubins(chip))
      GTEST_SKIP() << GetParam() << " cannot link cubins on this machine";
  }
  void TearDown() override { unsetenv("KVQ_PTX_ASSEMBLER"); }

  CodeObject assemble(llvm::StringRef name) {
    return take(assemblePTXPart(take(toPTX(copyKernelNamed(chip, name).get(), chip)), chip));
  }

  const ChipInfo &chip = *findChip("sm_90");
};

} // namespace

INSTANTIATE_TEST_SUITE_P(Chips, LinkedHsacoOfEachChip, testing::ValuesIn(chipsOf(Backend::ROCDL)),
                         [](const auto &info) { return info.param->name.str(); });
INSTANTIATE_TEST_SUITE_P(Ways, LinkedCubin, testing::Values("nvjitlink", "ptxas"),
                         [](const auto &info) { return std::string(info.param); });

// Loaders read one note, which has to describe the kernels of all objects as if
// they had been one module.
TEST_P(LinkedHsacoOfEachChip, HasOneNoteForTheKernelsOfAllObjects) {
  auto [first, second] = twoObjects(*GetParam());
  CodeObject linked = take(linkHSACO({bytes(first), bytes(second)}));
  std::vector<std::string> documents = metadataOf(linked);
  ASSERT_EQ(documents.size(), 1u);
  llvm::msgpack::Document metadata;
  ASSERT_TRUE(metadata.readFromBlob(documents[0], /*Multi=*/false));
  auto &kernels = metadata.getRoot().getMap()["amdhsa.kernels"].getArray();
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_EQ(kernels[0].getMap()[".symbol"].getString(), "first.kd");
  EXPECT_EQ(kernels[1].getMap()[".symbol"].getString(), "second.kd");

  CodeObject both = take(toHSACO(parse(textOfBoth(*GetParam())).get(), *GetParam()));
  EXPECT_EQ(metadataOf(both), documents);
}

// What follows the last kernel, for a chip that fetches beyond it, is there once.
TEST_P(LinkedHsacoOfEachChip, HasTheCodeOfOneObject) {
  auto [first, second] = twoObjects(*GetParam());
  Code linked = codeOf(take(linkHSACO({bytes(first), bytes(second)})));
  Code both = codeOf(take(toHSACO(parse(textOfBoth(*GetParam())).get(), *GetParam())));
  EXPECT_EQ(linked.size, both.size);
  EXPECT_EQ(linked.functions.size(), 2u);
  EXPECT_TRUE(linked.functions == both.functions);
  // Loaders need no more than the kernels' names; lld's own is _DYNAMIC.
  EXPECT_EQ(linked.localSymbols, std::vector<std::string>{"_DYNAMIC"});
}

TEST(LinkedHsaco, RefusesWhatIsNoObject) {
  auto [first, second] = twoObjects(*findChip("gfx942"));
  for (llvm::StringRef wrong : {llvm::StringRef(), llvm::StringRef("no object"),
                                bytes(second).take_front(100), bytes(second).drop_back(200)}) {
    std::string error = errorOf(linkHSACO({bytes(first), wrong}));
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
  CodeObject host = take(toObject(copyKernelNamed(test::host(), "host").get(), test::host()));
  EXPECT_NE(errorOf(linkHSACO({bytes(first), bytes(host)})).find("metadata"), std::string::npos);
}

TEST(LinkedSharedObject, HasTheKernelsOfAllObjects) {
  auto [first, second] = twoObjects(host());
  CodeObject code = take(linkSharedObject({bytes(first), bytes(second)}, host()));
  EXPECT_EQ(bytes(code), bytes(take(linkSharedObject({bytes(first), bytes(second)}, host()))));
  Library library(code);
  for (const char *name : {"first", "second"}) {
    auto copy = reinterpret_cast<void (*)(const int *, int *)>(library.find(name));
    ASSERT_NE(copy, nullptr);
    std::vector<int> source(4096), target(4096);
    std::iota(source.begin(), source.end(), 7);
    copy(source.data(), target.data());
    EXPECT_EQ(source, target);
  }
#ifdef __x86_64__
  // Both read the one byte that the constructor writes.
  auto *wide = static_cast<char *>(library.find("kvq_wide_vectors"));
  ASSERT_NE(wide, nullptr);
  EXPECT_EQ(*wide != 0, __builtin_cpu_supports("x86-64-v4") != 0);
#endif
}

TEST(LinkedSharedObject, RefusesOneKernelTwice) {
  auto [first, second] = twoObjects(host());
  std::string error = errorOf(linkSharedObject({bytes(first), bytes(first)}, host()));
  EXPECT_NE(error.find("duplicate symbol: first"), std::string::npos) << error;
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
}

TEST(JoinedPtx, HasOneHeaderAndAllKernels) {
  const ChipInfo &chip = *findChip("sm_90");
  std::string first = take(toPTX(copyKernelNamed(chip, "first").get(), chip));
  std::string second = take(toPTX(copyKernelNamed(chip, "second").get(), chip));
  std::string joined = take(joinPTX({first, second}));
  EXPECT_EQ(llvm::StringRef(joined).count(".version"), 1u);
  EXPECT_EQ(llvm::StringRef(joined).count(".target"), 1u);
  EXPECT_EQ(llvm::StringRef(joined).count(".visible .entry"), 2u);
  EXPECT_LT(joined.find("entry first("), joined.find("entry second("));
  EXPECT_EQ(take(joinPTX({first})), first);
  llvm::Expected<CodeObject> cubin = assemblePTX(joined, chip);
  if (!cubin) {
    llvm::Error error = cubin.takeError();
    EXPECT_TRUE(isNoAssembler(error)) << llvm::toString(std::move(error));
    llvm::consumeError(std::move(error));
  }
}

// A part with 32-byte accesses needs a newer PTX than its neighbours.
TEST(JoinedPtx, HasTheNewestVersionOfItsParts) {
  const ChipInfo &chip = *findChip("sm_100");
  std::string first = take(toPTX(copyKernelNamed(chip, "first").get(), chip));
  std::string second = take(toPTX(copyKernelNamed(chip, "second").get(), chip));
  llvm::StringRef old = ".version 8.6\n";
  size_t place = second.find(old.str());
  ASSERT_NE(place, std::string::npos);
  second.replace(place, old.size(), ".version 8.10\n");
  for (const std::string &joined :
       {take(joinPTX({first, second})), take(joinPTX({second, first}))}) {
    EXPECT_NE(joined.find(".version 8.10\n"), std::string::npos);
    EXPECT_EQ(llvm::StringRef(joined).count(".version"), 1u);
    EXPECT_EQ(llvm::StringRef(joined).count(".visible .entry"), 2u);
  }
}

TEST(JoinedPtx, RefusesAnotherChipsHeader) {
  const ChipInfo &chip = *findChip("sm_90"), &other = *findChip("sm_80");
  std::string first = take(toPTX(copyKernelNamed(chip, "first").get(), chip));
  std::string second = take(toPTX(copyKernelNamed(other, "second").get(), other));
  EXPECT_NE(errorOf(joinPTX({first, second})).find("header"), std::string::npos);
  EXPECT_NE(errorOf(joinPTX({first, "no PTX"})).find("header"), std::string::npos);
  std::string garbled = first;
  garbled.replace(garbled.find(".version 8.1"), 12, ".version new");
  EXPECT_NE(errorOf(joinPTX({first, garbled})).find("header"), std::string::npos);
}

TEST_P(LinkedCubin, HasTheKernelsOfAllParts) {
  CodeObject first = assemble("first"), second = assemble("second");
  EXPECT_EQ(bytes(first), bytes(assemble("first")));
  CodeObject linked = take(linkCubins({bytes(first), bytes(second)}, chip));
  EXPECT_EQ(bytes(linked), bytes(take(linkCubins({bytes(first), bytes(second)}, chip))));
  auto file =
      llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(bytes(linked), "test"));
  ASSERT_TRUE(bool(file));
  llvm::ELF::Elf64_Ehdr header;
  memcpy(&header, linked.data(), sizeof header);
  EXPECT_EQ(header.e_type, llvm::ELF::ET_EXEC);
  std::vector<std::string> functions;
  for (const llvm::object::SymbolRef &symbol : (*file)->symbols())
    if (take(symbol.getType()) == llvm::object::SymbolRef::ST_Function)
      functions.push_back(take(symbol.getName()).str());
  llvm::sort(functions);
  EXPECT_EQ(functions, (std::vector<std::string>{"first", "second"}));
}

TEST_P(LinkedCubin, RefusesWhatIsNoCubin) {
  CodeObject first = assemble("first");
  std::string error = errorOf(linkCubins({bytes(first), "no cubin"}, chip));
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
}

TEST(Assemblers, AreDescribedByWhatTheyAre) {
  std::string found = describeAssemblers();
  EXPECT_EQ(found, describeAssemblers());
  setenv("KVQ_PTX_ASSEMBLER", "none", /*overwrite=*/1);
  EXPECT_NE(found, describeAssemblers());
  EXPECT_FALSE(canLinkCubins(*findChip("sm_90")));
  unsetenv("KVQ_PTX_ASSEMBLER");
}
