//===- AssemblerTest.cpp - From PTX to cubin ------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Modules.h"
#include "llvm/BinaryFormat/ELF.h"
#include <cstdlib>
#include <thread>

using namespace kvq;
using namespace kvq::test;

namespace {

/// One way to assemble, forced by KVQ_PTX_ASSEMBLER; skipped where it is absent.
class Assembler : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    setenv("KVQ_PTX_ASSEMBLER", GetParam(), /*overwrite=*/1);
    llvm::Expected<CodeObject> probe = assemblePTX("", *findChip("sm_90"));
    if (probe)
      return;
    llvm::Error error = probe.takeError();
    bool absent = isNoAssembler(error);
    llvm::consumeError(std::move(error));
    if (absent)
      GTEST_SKIP() << GetParam() << " is not on this machine";
  }
  void TearDown() override { unsetenv("KVQ_PTX_ASSEMBLER"); }
};

} // namespace

INSTANTIATE_TEST_SUITE_P(Ways, Assembler, testing::Values("nvjitlink", "ptxas"),
                         [](const auto &info) { return std::string(info.param); });

TEST_P(Assembler, MakesACubinForEachChip) {
  for (const ChipInfo *chip : chipsOf(Backend::NVVM)) {
    std::string ptx = take(toPTX(copyKernel(*chip).get(), *chip));
    CodeObject cubin = take(assemblePTX(ptx, *chip)), again = take(assemblePTX(ptx, *chip));
    ASSERT_GE(cubin.size(), sizeof(llvm::ELF::Elf64_Ehdr)) << chip->name.str();
    llvm::ELF::Elf64_Ehdr header;
    memcpy(&header, cubin.data(), sizeof header);
    EXPECT_TRUE(header.checkMagic());
    EXPECT_EQ(header.e_machine, llvm::ELF::EM_CUDA);
    EXPECT_NE(llvm::StringRef(cubin.data(), cubin.size()).find("copy"), llvm::StringRef::npos);
    EXPECT_TRUE(cubin == again) << chip->name.str();
  }
}

TEST_P(Assembler, RefusesWrongPtxWithOneLine) {
  const ChipInfo &chip = *findChip("sm_90");
  std::string ptx = take(toPTX(copyKernel(chip).get(), chip));
  for (std::string wrong :
       {std::string("not PTX"), std::string("\0\xff", 2), ptx.substr(0, ptx.size() / 2),
        ptx + "\n.visible .entry copy() { foo.bar %r1; }\n"}) {
    llvm::Expected<CodeObject> code = assemblePTX(wrong, chip);
    ASSERT_FALSE(bool(code)) << wrong;
    llvm::Error error = code.takeError();
    EXPECT_FALSE(isNoAssembler(error));
    std::string text = llvm::toString(std::move(error));
    EXPECT_NE(text.find("refused the PTX for 'sm_90': "), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
}

TEST_P(Assembler, WorksInSeveralThreadsAtOnce) {
  const ChipInfo &chip = *findChip("sm_90");
  std::string ptx = take(toPTX(copyKernel(chip).get(), chip));
  CodeObject alone = take(assemblePTX(ptx, chip));
  std::vector<std::thread> threads;
  for (int thread = 0; thread != 4; ++thread)
    threads.emplace_back([&] {
      for (int i = 0; i != 4; ++i)
        EXPECT_TRUE(take(assemblePTX(ptx, chip)) == alone);
    });
  for (std::thread &thread : threads)
    thread.join();
}

TEST(NoAssembler, IsTellableFromRefusedPtx) {
  setenv("KVQ_PTX_ASSEMBLER", "none", /*overwrite=*/1);
  llvm::Expected<CodeObject> code = assemblePTX("", *findChip("sm_90"));
  unsetenv("KVQ_PTX_ASSEMBLER");
  ASSERT_FALSE(bool(code));
  llvm::Error error = code.takeError();
  EXPECT_TRUE(isNoAssembler(error));
  EXPECT_NE(llvm::toString(std::move(error)).find("no way to assemble PTX for 'sm_90'"),
            std::string::npos);
}

TEST(NoAssembler, AnUnknownOneIsAnError) {
  setenv("KVQ_PTX_ASSEMBLER", "gas", /*overwrite=*/1);
  std::string text = errorOf(assemblePTX("", *findChip("sm_90")));
  unsetenv("KVQ_PTX_ASSEMBLER");
  EXPECT_NE(text.find("but got 'gas'"), std::string::npos) << text;
}
