//===- KernelsToHost.cpp - Functions of the host out of kernels -----------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/BuiltinOps.h"

namespace kvq {
#define GEN_PASS_DEF_KERNELSTOHOSTPASS
#include "kvq/Passes.h.inc"
} // namespace kvq

using namespace mlir;
using namespace kvq;

namespace {

struct KernelsToHost : kvq::impl::KernelsToHostPassBase<KernelsToHost> {
  using KernelsToHostPassBase::KernelsToHostPassBase;

  void runOnOperation() override {
    for (auto module : llvm::make_early_inc_range(getOperation().getOps<gpu::GPUModuleOp>())) {
      for (auto kernel : llvm::make_early_inc_range(module.getOps<gpu::GPUFuncOp>()))
        if (failed(moveToHost(kernel)))
          return signalPassFailure();
      if (!module.getBody()->empty()) {
        module.emitError("expected nothing but kernels beside the kernels of a host module");
        return signalPassFailure();
      }
      module.erase();
    }
  }

  LogicalResult moveToHost(gpu::GPUFuncOp kernel) {
    if (getOperation().lookupSymbol(kernel.getName()))
      return kernel.emitOpError("expected no other symbol of this name in the module");
    OpBuilder builder = OpBuilder::atBlockEnd(getOperation().getBody());
    auto function =
        func::FuncOp::create(builder, kernel.getLoc(), kernel.getName(), kernel.getFunctionType());
    if (ArrayAttr attrs = kernel.getArgAttrsAttr())
      function.setArgAttrsAttr(attrs);
    function.getBody().takeBody(kernel.getBody());
    function.walk([](gpu::ReturnOp op) {
      OpBuilder builder(op);
      func::ReturnOp::create(builder, op.getLoc(), op.getOperands());
      op.erase();
    });
    kernel.erase();
    return success();
  }
};

} // namespace
