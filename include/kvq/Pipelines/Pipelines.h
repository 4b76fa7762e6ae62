//===- Pipelines.h - From layers to the target's dialect --------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_PIPELINES_PIPELINES_H
#define KVQ_PIPELINES_PIPELINES_H

#include "kvq/Support/NameOptions.h"
#include "mlir/Pass/PassOptions.h"

namespace mlir {
class DialectRegistry;
class OpPassManager;
} // namespace mlir

namespace kvq {

/// What the kernels of a pipeline are made for; the options of the passes
/// `kvq-resolve-scales` and `kvq-generate-kernels`, with their defaults.
struct KernelOptions : mlir::PassPipelineOptions<KernelOptions> {
  Option<std::string> chip{*this, "chip",
                           llvm::cl::desc("The chip to compile for; the module's own if empty")};
  ListOption<std::string> ops{*this, "ops", llvm::cl::desc("The operations to make kernels for")};
  Option<LayoutKind> layout{*this, "layout", llvm::cl::desc("The order inside a cache block"),
                            llvm::cl::init(LayoutKind::NHD), nameValues<LayoutKind>()};
  Option<int64_t> blockSize{*this, "block-size", llvm::cl::desc("Rows of a cache block"),
                            llvm::cl::init(16)};
  Option<int64_t> align{*this, "align",
                        llvm::cl::desc("Bytes that pointers and strides are multiples of"),
                        llvm::cl::init(16)};
  Option<int64_t> tensorParallelSize{*this, "tensor-parallel-size",
                                     llvm::cl::desc("Ranks that share the heads"),
                                     llvm::cl::init(1)};
  Option<Bounds> bounds{*this, "bounds", llvm::cl::desc("What happens to slots beyond the cache"),
                        llvm::cl::init(Bounds::Check), nameValues<Bounds>()};
  Option<SlotType> slotType{*this, "slot-type", llvm::cl::desc("The integers of slot_mapping"),
                            llvm::cl::init(SlotType::I64), nameValues<SlotType>()};
  Option<int64_t> paddingSlot{*this, "padding-slot",
                              llvm::cl::desc("A slot that is skipped, as the negative ones are"),
                              llvm::cl::init(-1)};
  Option<double> qScaleConstant{*this, "q-scale-constant",
                                llvm::cl::desc("What compute_scales divides q by"),
                                llvm::cl::init(200.0)};
  Option<double> kScaleConstant{*this, "k-scale-constant",
                                llvm::cl::desc("What compute_scales divides k by"),
                                llvm::cl::init(200.0)};
  Option<double> vScaleConstant{*this, "v-scale-constant",
                                llvm::cl::desc("What compute_scales divides v by"),
                                llvm::cl::init(100.0)};
  Option<ScalesMode> scales{*this, "scales", llvm::cl::desc("Whether scales become constants"),
                            llvm::cl::init(ScalesMode::Fold), nameValues<ScalesMode>()};
  Option<bool> fnuz{*this, "fnuz", llvm::cl::desc("Use the fnuz formats on the host"),
                    llvm::cl::init(false)};
};

/// The parts that the three pipelines share: resolved layers, kernels, folded
/// scales. `chip` and `fnuz` take effect unless the module has been resolved.
void buildResolvePipeline(mlir::OpPassManager &manager, const KernelOptions &options);
void buildGeneratePipeline(mlir::OpPassManager &manager, const KernelOptions &options);
void buildFoldPipeline(mlir::OpPassManager &manager);

/// From folded kernels to the dialect of a backend, ready for serialisation.
/// `chip` may be empty; upstream's conversion to ROCDL takes it for granted
/// then that nothing in the kernels depends on the chip any more.
void buildLowerPipeline(mlir::OpPassManager &manager, Backend backend, llvm::StringRef chip);

/// Everything that kvq-opt knows: dialects, their extensions and translations.
void registerDialects(mlir::DialectRegistry &registry);

/// kvq's passes and pipelines and the upstream passes that they are made of.
void registerPasses();

} // namespace kvq

#endif // KVQ_PIPELINES_PIPELINES_H
