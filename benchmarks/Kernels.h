//===- Kernels.h - The kernels that are measured ----------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_BENCHMARKS_KERNELS_H
#define KVQ_BENCHMARKS_KERNELS_H

#include "kvq/Pipelines/Pipelines.h"
#include "kvq/Target/ChipInfo.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/STLExtras.h"

namespace kvq::bench {

/// The layer whose store and load kernels are measured: 8 heads of 128 numbers.
struct LayerSpec {
  std::string sourceType = "bf16";
  std::string cacheDtype = "fp8";
  std::string kScale = "0.023", vScale = "0.031";

  static constexpr int64_t kvHeads = 8, headSize = 128, blockSize = 16;

  /// The layer as a module of kvq's dialect.
  std::string text() const;
};

/// How kernels are compiled.
struct CompileSpec {
  const ChipInfo *chip = nullptr;
  bool fnuz = false;
  ScalesMode scales = ScalesMode::Fold;
};

/// A context that knows all that the pipelines need, quiet about remarks and
/// warnings.
std::unique_ptr<mlir::MLIRContext> makeContext(const mlir::DialectRegistry &registry);

/// Fills `registry` with kvq's dialects and their translations.
void registerAll(mlir::DialectRegistry &registry);

/// Parses a module; a failure ends the program.
mlir::OwningOpRef<mlir::ModuleOp> parse(mlir::MLIRContext &context, llvm::StringRef text);

/// The two halves of a pipeline in order: to kernels with folded scales, and to
/// the backend's dialect. A failure ends the program.
void runUntilFolded(mlir::ModuleOp module, const CompileSpec &spec);
void runLowering(mlir::ModuleOp module, const CompileSpec &spec);

/// What is to be serialised: the first gpu.module, else the whole.
mlir::Operation *serializableIn(mlir::ModuleOp module);

/// Ends the program with a line on stderr.
[[noreturn]] void fail(const llvm::Twine &message);

/// The value of `expected`; an error ends the program.
template <typename T> T take(llvm::Expected<T> expected) {
  if (!expected)
    fail(llvm::toString(expected.takeError()));
  return std::move(*expected);
}

} // namespace kvq::bench

#endif // KVQ_BENCHMARKS_KERNELS_H
