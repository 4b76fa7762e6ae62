//===- Kernels.cpp - The kernels that are measured ------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "kvq/Serialize/Serializer.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"

using namespace kvq;
using namespace kvq::bench;

std::string LayerSpec::text() const {
  std::string scales =
      cacheDtype == "auto" ? "" : " checkpoint(k = " + kScale + ", v = " + vScale + ")";
  return "kvq.attention @model.layers.0.self_attn index 0 geometry <heads = 32, kv_heads = " +
         std::to_string(kvHeads) + ", head_size = " + std::to_string(headSize) + "> source " +
         sourceType + " cache " + cacheDtype + scales + "\n";
}

void kvq::bench::fail(const llvm::Twine &message) {
  llvm::errs() << "error: " << message << "\n";
  std::exit(1);
}

void kvq::bench::registerAll(mlir::DialectRegistry &registry) {
  registerDialects(registry);
  registerSerializationDialects(registry);
}

std::unique_ptr<mlir::MLIRContext> kvq::bench::makeContext(const mlir::DialectRegistry &registry) {
  auto context =
      std::make_unique<mlir::MLIRContext>(registry, mlir::MLIRContext::Threading::DISABLED);
  context->getDiagEngine().registerHandler([](mlir::Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error)
      llvm::errs() << "error: " << diagnostic.str() << "\n";
  });
  return context;
}

mlir::OwningOpRef<mlir::ModuleOp> kvq::bench::parse(mlir::MLIRContext &context,
                                                    llvm::StringRef text) {
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module)
    fail("cannot parse the layer");
  return module;
}

static void run(mlir::ModuleOp module, llvm::function_ref<void(mlir::OpPassManager &)> build) {
  mlir::PassManager manager(module->getContext());
  // Verification between passes is part of what kvqc runs, so it is measured too.
  build(manager);
  if (mlir::failed(manager.run(module)))
    fail("the pipeline failed");
}

void kvq::bench::runUntilFolded(mlir::ModuleOp module, const CompileSpec &spec) {
  KernelOptions options;
  options.chip = spec.chip->name.str();
  options.fnuz = spec.fnuz;
  options.scales = spec.scales;
  run(module, [&](mlir::OpPassManager &manager) {
    buildResolvePipeline(manager, options);
    buildGeneratePipeline(manager, options);
    buildFoldPipeline(manager);
  });
}

void kvq::bench::runLowering(mlir::ModuleOp module, const CompileSpec &spec) {
  run(module, [&](mlir::OpPassManager &manager) {
    buildLowerPipeline(manager, spec.chip->backend, spec.chip->name);
  });
}

mlir::Operation *kvq::bench::serializableIn(mlir::ModuleOp module) {
  for (auto kernels : module.getOps<mlir::gpu::GPUModuleOp>())
    return kernels;
  return module;
}
