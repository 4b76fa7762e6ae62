//===- CodeObjectTest.cpp - What the serialisers make ---------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Modules.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/raw_ostream.h"
#include <numeric>
#include <thread>

using namespace kvq;
using namespace kvq::test;

namespace {

llvm::StringRef bytes(const CodeObject &code) { return {code.data(), code.size()}; }

/// The exported functions of an ELF file, sorted.
std::vector<std::string> exports(const CodeObject &code) {
  auto file =
      llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(bytes(code), "test"));
  std::vector<std::string> names;
  if (!file) {
    ADD_FAILURE() << llvm::toString(file.takeError());
    return names;
  }
  for (const llvm::object::ELFSymbolRef &symbol :
       llvm::cast<llvm::object::ELFObjectFileBase>(**file).getDynamicSymbolIterators())
    if (!(take(symbol.getFlags()) & llvm::object::SymbolRef::SF_Undefined))
      names.push_back(take(symbol.getName()).str());
  llvm::sort(names);
  return names;
}

/// What a chip's code object is, whatever the backend.
llvm::Expected<CodeObject> serialize(const ChipInfo &chip, mlir::Operation *module) {
  switch (chip.backend) {
  case Backend::NVVM: {
    llvm::Expected<std::string> ptx = toPTX(module, chip);
    if (!ptx)
      return ptx.takeError();
    return CodeObject(ptx->begin(), ptx->end());
  }
  case Backend::ROCDL:
    return toHSACO(module, chip);
  case Backend::Host:
    break;
  }
  return toSharedObject(module, chip);
}

llvm::cl::opt<int> someOption("serialize-test-option", llvm::cl::init(1));

class EachChip : public testing::TestWithParam<const ChipInfo *> {};
class EachNvidiaChip : public EachChip {};
class EachAmdChip : public EachChip {};

std::string chipName(const testing::TestParamInfo<const ChipInfo *> &info) {
  return info.param->name.str();
}

llvm::SmallVector<const ChipInfo *> everyChip() {
  llvm::SmallVector<const ChipInfo *> chips;
  for (const ChipInfo &chip : allChips())
    chips.push_back(&chip);
  return chips;
}

} // namespace

INSTANTIATE_TEST_SUITE_P(Chips, EachChip, testing::ValuesIn(everyChip()), chipName);
INSTANTIATE_TEST_SUITE_P(Chips, EachNvidiaChip, testing::ValuesIn(chipsOf(Backend::NVVM)),
                         chipName);
INSTANTIATE_TEST_SUITE_P(Chips, EachAmdChip, testing::ValuesIn(chipsOf(Backend::ROCDL)), chipName);

TEST_P(EachChip, GivesTheSameBytesTwice) {
  CodeObject first = take(serialize(*GetParam(), copyKernel(*GetParam()).get()));
  CodeObject second = take(serialize(*GetParam(), copyKernel(*GetParam()).get()));
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(bytes(first), bytes(second));
}

TEST_P(EachChip, ExportsOnlyTheKernel) {
  const char *helper = R"(
    llvm.func @helper(%x: i32) -> i32 attributes {sym_visibility = "private"} { llvm.return %x : i32 })";
  std::string ir = take(toLLVMIR(copyKernel(*GetParam(), helper).get(), *GetParam()));
  EXPECT_EQ(ir.find("@helper"), std::string::npos);
  EXPECT_NE(ir.find("@copy("), std::string::npos);
}

TEST_P(EachNvidiaChip, PtxHasTheKernelAndItsTarget) {
  std::string ptx = take(toPTX(copyKernel(*GetParam()).get(), *GetParam()));
  EXPECT_NE(ptx.find(".visible .entry copy("), std::string::npos) << ptx;
  EXPECT_NE(ptx.find((".target " + GetParam()->name + "\n").str()), std::string::npos) << ptx;
  EXPECT_NE(ptx.find(".reqntid 128"), std::string::npos) << ptx;
  // 16 bytes at once, whatever their elements.
  EXPECT_TRUE(llvm::Regex("ld\\.global\\.nc\\.(v4\\.b32|v2\\.b64)").match(ptx)) << ptx;
  EXPECT_TRUE(llvm::Regex("st\\.global\\.(v4\\.b32|v2\\.b64)").match(ptx)) << ptx;
}

TEST_P(EachAmdChip, HsacoIsACodeObjectOfVersion5) {
  CodeObject code = take(toHSACO(copyKernel(*GetParam()).get(), *GetParam()));
  ASSERT_GE(code.size(), sizeof(llvm::ELF::Elf64_Ehdr));
  llvm::ELF::Elf64_Ehdr header;
  memcpy(&header, code.data(), sizeof header);
  ASSERT_TRUE(header.checkMagic());
  EXPECT_EQ(header.e_machine, llvm::ELF::EM_AMDGPU);
  EXPECT_EQ(header.e_type, llvm::ELF::ET_DYN);
  EXPECT_EQ(header.e_ident[llvm::ELF::EI_OSABI], llvm::ELF::ELFOSABI_AMDGPU_HSA);
  EXPECT_EQ(header.e_ident[llvm::ELF::EI_ABIVERSION], llvm::ELF::ELFABIVERSION_AMDGPU_HSA_V5);
  auto file =
      llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(bytes(code), "test"));
  ASSERT_TRUE(bool(file));
  std::optional<llvm::StringRef> cpu = (*file)->tryGetCPUName();
  EXPECT_EQ(cpu.value_or(""), GetParam()->name);
  EXPECT_EQ(exports(code), (std::vector<std::string>{"copy", "copy.kd"}));
}

TEST_P(EachAmdChip, AssemblyHasWideAccesses) {
  std::string text = take(toAssembly(copyKernel(*GetParam()).get(), *GetParam()));
  EXPECT_TRUE(text.find("global_load_dwordx4") != std::string::npos ||
              text.find("global_load_b128") != std::string::npos)
      << text;
}

TEST_P(EachAmdChip, KnowsTheSizeOfItsBlocks) {
  std::string text = take(toAssembly(copyKernel(*GetParam()).get(), *GetParam()));
  EXPECT_NE(text.find(".max_flat_workgroup_size: 128"), std::string::npos) << text;
}

// The bits of a store are those of a division and a product rounded one after
// the other, subnormal ones too.
TEST_P(EachChip, RoundsEachOperationOnItsOwn) {
  bool isHost = GetParam()->backend == Backend::Host;
  std::string pointer = isHost ? "!llvm.ptr" : "!llvm.ptr<1>";
  std::string body = R"(
    %a = llvm.load volatile %source : POINTER -> f32
    %b = llvm.fmul %a, %a : f32
    %c = llvm.fadd %b, %a : f32
    %d = llvm.fdiv %c, %b : f32
    llvm.store volatile %d, %target : f32, POINTER)";
  for (size_t at; (at = body.find("POINTER")) != std::string::npos;)
    body.replace(at, strlen("POINTER"), pointer);
  std::string text = take(toAssembly(copyKernel(*GetParam(), "", body).get(), *GetParam()));
  if (GetParam()->backend == Backend::NVVM) {
    EXPECT_NE(text.find("mul.rn.f32"), std::string::npos) << text;
    EXPECT_NE(text.find("add.rn.f32"), std::string::npos) << text;
    EXPECT_NE(text.find("div.rn.f32"), std::string::npos) << text;
    EXPECT_EQ(text.find(".ftz"), std::string::npos) << text;
  } else if (GetParam()->backend == Backend::ROCDL) {
    // The division's expansion has its own v_fma_f32; v_mul_f32 stays apart.
    EXPECT_TRUE(llvm::Regex("v_mul_f32[_e0-9]* (v[0-9]+), (v[0-9]+), \\2").match(text)) << text;
    EXPECT_NE(text.find("v_div_fixup_f32"), std::string::npos) << text;
    EXPECT_NE(text.find(".amdhsa_float_denorm_mode_32 3"), std::string::npos) << text;
  } else {
    EXPECT_FALSE(llvm::Regex("v?fn?m(add|sub)").match(text)) << text;
  }
}

TEST(SharedObject, LoadsAndRuns) {
  CodeObject code = take(toSharedObject(copyKernel(host()).get(), host()));
  std::vector<std::string> exported = exports(code);
  // On x86-64 there is the byte that chooses between the versions of a kernel.
  llvm::erase(exported, "kvq_wide_vectors");
  EXPECT_EQ(exported, std::vector<std::string>{"copy"});
  Library library(code);
  auto copy = reinterpret_cast<void (*)(const int *, int *)>(library.find("copy"));
  ASSERT_NE(copy, nullptr);
  auto copies = [&] {
    std::vector<int> source(4096), target(4096);
    std::iota(source.begin(), source.end(), 7);
    copy(source.data(), target.data());
    return source == target;
  };
  EXPECT_TRUE(copies());
#ifdef __x86_64__
  auto *wide = static_cast<char *>(library.find("kvq_wide_vectors"));
  ASSERT_NE(wide, nullptr);
  EXPECT_EQ(*wide != 0, __builtin_cpu_supports("x86-64-v4") != 0);
  *wide = 0;
  EXPECT_TRUE(copies());
#endif
}

// lld puts every llvm::cl option of the process back to its default unless it
// is kept from it (Linker.cpp).
TEST(SharedObject, LinkingLeavesTheProgramsOptionsAlone) {
  someOption = 7;
  take(toSharedObject(copyKernel(host()).get(), host()));
  EXPECT_EQ(someOption, 7);
}

TEST(Serializer, WorksInSeveralThreadsAtOnce) {
  std::vector<CodeObject> alone;
  for (const ChipInfo &chip : allChips())
    alone.push_back(take(serialize(chip, copyKernel(chip).get())));
  std::vector<std::thread> threads;
  for (size_t thread = 0; thread != 4; ++thread)
    threads.emplace_back([&, thread] {
      for (size_t i = 0; i != allChips().size(); ++i) {
        size_t which = (i + 5 * thread) % allChips().size();
        const ChipInfo &chip = allChips()[which];
        CodeObject code = take(serialize(chip, copyKernel(chip).get()));
        EXPECT_EQ(bytes(code), bytes(alone[which])) << chip.name.str();
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}
