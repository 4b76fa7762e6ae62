//===- Modules.cpp - Lowered modules written by hand ----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Modules.h"
#include "../TemporaryFolder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/LLVMIR/ROCDLDialect.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FormatVariadic.h"
#include <dlfcn.h>
#include <fstream>

using namespace kvq;
using namespace kvq::test;

mlir::Operation *Parsed::get() {
  if (!module)
    return nullptr;
  for (mlir::Operation &op : module->getOps())
    if (mlir::isa<mlir::gpu::GPUModuleOp>(op))
      return &op;
  return module->getOperation();
}

Parsed kvq::test::parse(llvm::StringRef text) {
  mlir::DialectRegistry registry;
  registry.insert<mlir::arith::ArithDialect, mlir::gpu::GPUDialect, mlir::LLVM::LLVMDialect,
                  mlir::NVVM::NVVMDialect, mlir::ROCDL::ROCDLDialect>();
  registerSerializationDialects(registry);
  Parsed parsed;
  parsed.context =
      std::make_unique<mlir::MLIRContext>(registry, mlir::MLIRContext::Threading::DISABLED);
  parsed.module = mlir::parseSourceString<mlir::ModuleOp>(text, parsed.context.get());
  EXPECT_TRUE(bool(parsed.module)) << text.str();
  return parsed;
}

namespace {

constexpr const char *deviceModule = R"(
gpu.module @kernels {{
  {2}
  llvm.func @copy(%source: !llvm.ptr<1> {{llvm.noalias, llvm.readonly, llvm.align = 16 : i64},
                  %target: !llvm.ptr<1> {{llvm.noalias, llvm.align = 16 : i64})
      attributes {{{0}} {{
    {3}
    %block = {1}.x : i32
    %thread = {4}.x : i32
    %width = llvm.mlir.constant(128 : i32) : i32
    %base = llvm.mul %block, %width : i32
    %i = llvm.add %base, %thread : i32
    %from = llvm.getelementptr %source[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, vector<4xi32>
    %to = llvm.getelementptr %target[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, vector<4xi32>
    %v = llvm.load %from invariant {{alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xi32>
    llvm.store %v, %to {{alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<1>
    llvm.return
  }
}
)";

constexpr const char *hostModule = R"(
{0}
llvm.func @copy(%source: !llvm.ptr {{llvm.noalias}, %target: !llvm.ptr {{llvm.noalias}) {{
  {1}
  %zero = llvm.mlir.constant(0 : i64) : i64
  %one = llvm.mlir.constant(1 : i64) : i64
  %count = llvm.mlir.constant(1024 : i64) : i64
  llvm.br ^loop(%zero : i64)
^loop(%i: i64):
  %from = llvm.getelementptr %source[%i] : (!llvm.ptr, i64) -> !llvm.ptr, vector<4xi32>
  %to = llvm.getelementptr %target[%i] : (!llvm.ptr, i64) -> !llvm.ptr, vector<4xi32>
  %v = llvm.load %from {{alignment = 4 : i64} : !llvm.ptr -> vector<4xi32>
  llvm.store %v, %to {{alignment = 4 : i64} : vector<4xi32>, !llvm.ptr
  %next = llvm.add %i, %one : i64
  %more = llvm.icmp "ult" %next, %count : i64
  llvm.cond_br %more, ^loop(%next : i64), ^done
^done:
  llvm.return
}
)";

} // namespace

Parsed kvq::test::copyKernel(const ChipInfo &chip, llvm::StringRef extra, llvm::StringRef body) {
  switch (chip.backend) {
  case Backend::NVVM:
    return parse(llvm::formatv(deviceModule, "nvvm.kernel, nvvm.reqntid = array<i32: 128, 1, 1>",
                               "nvvm.read.ptx.sreg.ctaid", extra, body, "nvvm.read.ptx.sreg.tid")
                     .str());
  case Backend::ROCDL:
    return parse(llvm::formatv(deviceModule,
                               "rocdl.kernel, rocdl.reqd_work_group_size = array<i32: 128, 1, 1>, "
                               "rocdl.flat_work_group_size = \"128,128\"",
                               "rocdl.workgroup.id", extra, body, "rocdl.workitem.id")
                     .str());
  case Backend::Host:
    break;
  }
  return parse(llvm::formatv(hostModule, extra, body).str());
}

llvm::SmallVector<const ChipInfo *> kvq::test::chipsOf(Backend backend) {
  llvm::SmallVector<const ChipInfo *> chips;
  for (const ChipInfo &chip : allChips())
    if (chip.backend == backend)
      chips.push_back(&chip);
  return chips;
}

const ChipInfo &kvq::test::host() { return *chipsOf(Backend::Host).front(); }

Library::Library(const CodeObject &code) {
  TemporaryFolder folder;
  std::string file = (folder.path() / "code.so").string();
  std::ofstream(file, std::ios::binary).write(code.data(), std::streamsize(code.size()));
  handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    ADD_FAILURE() << dlerror();
}

Library::~Library() {
  if (handle)
    dlclose(handle);
}

void *Library::find(const char *symbol) const { return handle ? dlsym(handle, symbol) : nullptr; }
