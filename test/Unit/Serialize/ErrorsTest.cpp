//===- ErrorsTest.cpp - What the serialisers refuse -----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Modules.h"

#ifdef KVQ_HAS_LSAN
#include <sanitizer/lsan_interface.h>
#endif

using namespace kvq;
using namespace kvq::test;

namespace {

const ChipInfo &chip(llvm::StringRef name) { return *findChip(name); }

/// The error of `body` in the copy kernel of `chip`.
std::string refusal(const ChipInfo &chip, llvm::StringRef body, llvm::StringRef extra = "") {
  Parsed parsed = copyKernel(chip, extra, body);
  if (!parsed.get())
    return "";
  std::string text = errorOf(toAssembly(parsed.get(), chip));
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  return text;
}

} // namespace

TEST(Errors, AnFp8ValueLeft) {
  EXPECT_EQ(refusal(host(), R"(
    %f = llvm.mlir.constant(1.0 : f32) : f32
    %x = arith.truncf %f : f32 to f8E4M3FN)"),
            "expected no FP8 value left, but found 'f8E4M3FN' in 'arith.truncf'");
  EXPECT_EQ(refusal(chip("gfx90a"), "%x = arith.constant dense<1.0> : vector<4xf8E5M2FNUZ>"),
            "expected no FP8 value left, but found 'vector<4xf8E5M2FNUZ>' in 'arith.constant'");
}

TEST(Errors, AnOperationThatIsNotLowered) {
  EXPECT_EQ(refusal(host(), "%x = arith.constant 1.0 : f32"),
            "expected only operations of the LLVM dialect for 'host', but found 'arith.constant'");
  EXPECT_EQ(refusal(host(), "%x = nvvm.read.ptx.sreg.tid.x : i32"),
            "expected only operations of the LLVM dialect for 'host', but found "
            "'nvvm.read.ptx.sreg.tid.x'");
  EXPECT_EQ(refusal(chip("gfx942"), "", "gpu.func @f() { gpu.return }"),
            "expected only operations of the LLVM and ROCDL dialect for 'gfx942', but found "
            "'gpu.func'");
}

TEST(Errors, AConversionThatTheChipLacks) {
  EXPECT_EQ(refusal(chip("sm_80"), R"(
    %f = llvm.mlir.constant(1.0 : f32) : f32
    %x = nvvm.convert.f32x2.to.f8x2 %f, %f {rnd = #nvvm.fp_rnd_mode<rn>, sat = #nvvm.sat_mode<satfinite>} : i16 (f8E4M3FN))"),
            "'sm_80' has no FP8 conversions, but found 'nvvm.convert.f32x2.to.f8x2'");
  EXPECT_EQ(refusal(chip("gfx90a"), R"(
    %f = llvm.mlir.constant(1.0 : f32) : f32
    %o = llvm.mlir.constant(0 : i32) : i32
    %x = rocdl.cvt.pk.fp8.f32 %f, %f -> %o[false] : i32)"),
            "'gfx90a' has no FP8 conversions, but found 'rocdl.cvt.pk.fp8.f32'");
}

// Past every check of kvq's own: the backend gives up on the intrinsic.
TEST(Errors, WhatTheBackendCannotSelect) {
#ifdef KVQ_HAS_LSAN
  __lsan::ScopedDisabler whatLlvmOwnedThenIsLost;
#endif
  for (int i = 0; i != 3; ++i) {
    std::string text = refusal(chip("sm_80"), R"(
    %f = llvm.load %source : !llvm.ptr<1> -> f32
    %x = llvm.call_intrinsic "llvm.nvvm.ff.to.e4m3x2.rn"(%f, %f) : (f32, f32) -> i16
    llvm.store %x, %target : i16, !llvm.ptr<1>)");
    EXPECT_NE(text.find("Cannot select"), std::string::npos) << text;
  }
  // And it still works afterwards.
  EXPECT_FALSE(take(toPTX(copyKernel(chip("sm_80")).get(), chip("sm_80"))).empty());
}

TEST(Errors, AnUndefinedFunction) {
  const char *declaration = "llvm.func @missing()", *call = "llvm.call @missing() : () -> ()";
  for (llvm::StringRef name : {"sm_90", "gfx942", "host"})
    EXPECT_EQ(refusal(chip(name), call, declaration),
              ("undefined symbol 'missing' for '" + name + "'").str());
}

// The host has no conversion to bf16; LLVM calls a function of the compiler's
// run-time library, which no process need have.
TEST(Errors, AFunctionThatTheBackendCalls) {
  Parsed parsed = copyKernel(host(), R"(
  llvm.func @round(%x: f32) -> bf16 {
    %y = llvm.fptrunc %x : f32 to bf16
    llvm.return %y : bf16
  })");
  EXPECT_EQ(errorOf(toSharedObject(parsed.get(), host())), "undefined symbol '__truncsfbf2'");
}

TEST(Errors, CopiesOfTheCLibraryAreAllowed) {
  Parsed parsed = copyKernel(host(), "", R"(
    %n = llvm.mlir.constant(100000 : i64) : i64
    "llvm.intr.memcpy"(%target, %source, %n) <{isVolatile = false}> : (!llvm.ptr, !llvm.ptr, i64) -> ())");
  EXPECT_FALSE(take(toSharedObject(parsed.get(), host())).empty());
}

TEST(Errors, AModuleWithoutAKernel) {
  Parsed parsed = parse("gpu.module @empty {}");
  EXPECT_EQ(errorOf(toPTX(parsed.get(), chip("sm_90"))),
            "expected a kernel for 'sm_90', but found none");
}

TEST(Errors, AChipOfAnotherBackend) {
  Parsed parsed = copyKernel(host());
  EXPECT_EQ(errorOf(toPTX(parsed.get(), host())),
            "expected a chip of the NVVM backend, but got 'host'");
  EXPECT_EQ(errorOf(toHSACO(parsed.get(), chip("sm_90"))),
            "expected a chip of the ROCDL backend, but got 'sm_90'");
  EXPECT_EQ(errorOf(toSharedObject(parsed.get(), chip("gfx942"))),
            "expected the host, but got 'gfx942'");
}

// LLVM reports this one by a diagnostic, not by a fatal error.
TEST(Errors, WrongInlineAssembly) {
  Parsed parsed = copyKernel(chip("gfx942"), "",
                             R"(llvm.inline_asm has_side_effects "v_nonsense", "" : () -> ())");
  EXPECT_NE(errorOf(toHSACO(parsed.get(), chip("gfx942"))).find("invalid instruction"),
            std::string::npos);
}
