//===- Pipelines.cpp - From layers to the target's dialect ----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Pipelines/Pipelines.h"
#include "kvq/Passes.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/LLVMIR/ROCDLDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace kvq;

void kvq::buildResolvePipeline(OpPassManager &manager, const KernelOptions &options) {
  manager.addPass(createResolveScalesPass(options));
}

void kvq::buildGeneratePipeline(OpPassManager &manager, const KernelOptions &options) {
  manager.addPass(createGenerateKernelsPass(options));
}

void kvq::buildFoldPipeline(OpPassManager &manager) { manager.addPass(createFoldScalesPass()); }

/// What is left of kernels becomes LLVM-level code, on a GPU and on the host.
static void buildBodyPipeline(OpPassManager &manager) {
  manager.addPass(createLowerCacheOpsPass());
  manager.addPass(createLowerFP8Pass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

/// Stops what LLVM could not lower for `backend`.
static std::unique_ptr<Pass> createCheckPass(Backend backend) {
  VerifyLoweredPassOptions options;
  options.backend = stringify(backend).str();
  return createVerifyLoweredPass(options);
}

static void buildGpuPipeline(OpPassManager &manager, Backend backend,
                             std::unique_ptr<Pass> toBackend) {
  buildBodyPipeline(manager);
  OpPassManager &kernels = manager.nest<gpu::GPUModuleOp>();
  kernels.addPass(createCheckPass(backend));
  kernels.addPass(createSCFToControlFlowPass());
  kernels.addPass(createConvertVectorToLLVMPass());
  kernels.addPass(std::move(toBackend));
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  kernels.addPass(createReconcileUnrealizedCastsPass());
}

static void buildHostPipeline(OpPassManager &manager) {
  manager.addPass(createKernelsToHostPass());
  buildBodyPipeline(manager);
  manager.addPass(createCheckPass(Backend::Host));
  // x86 has no conversion to bf16 at the baseline, and LLVM would call a library.
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = true;
  manager.addNestedPass<func::FuncOp>(arith::createArithExpandOpsPass(expand));
  manager.addPass(createSCFToControlFlowPass());
  manager.addPass(createConvertVectorToLLVMPass());
  manager.addPass(createConvertToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void kvq::buildLowerPipeline(OpPassManager &manager, Backend backend, StringRef chip) {
  switch (backend) {
  case Backend::NVVM:
    return buildGpuPipeline(manager, backend, createConvertGpuOpsToNVVMOps());
  case Backend::ROCDL: {
    ConvertGpuOpsToROCDLOpsOptions options;
    options.runtime = gpu::amd::Runtime::HIP;
    if (!chip.empty())
      options.chipset = chip.str();
    return buildGpuPipeline(manager, backend, createConvertGpuOpsToROCDLOps(options));
  }
  case Backend::Host:
    return buildHostPipeline(manager);
  }
}
