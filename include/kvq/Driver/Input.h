//===- Input.h - Checkpoints and modules as a user names them ---*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DRIVER_INPUT_H
#define KVQ_DRIVER_INPUT_H

#include "kvq/Checkpoint/Checkpoint.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include <memory>

namespace kvq {

/// What a user says of the input. What is absent was not said.
struct InputOptions {
  /// A folder of Hugging Face files, a legacy kv_cache_scales.json, or a file
  /// that ends in '.mlir'.
  std::string path;
  /// A config.json for the geometry of a legacy JSON file; empty for none.
  std::string configFile;
  std::optional<KVCacheDtype> dtype;
  std::optional<SourceType> sourceType;
  /// The layout that the user named; only held to a module's own.
  std::optional<LayoutKind> layout;
  /// Whether the user asked for it; there is no way to ask for the opposite.
  bool calculateKVScales = false;
  std::optional<int64_t> tensorParallelSize;
};

/// Where layers came from.
struct Origin {
  std::string format, modelType, sha256;
  /// Notes that belong to no layer.
  std::vector<std::string> notes;
  /// Tensors that look like scales and reached no layer.
  std::vector<std::string> unused;
};

/// An input that has been read, and can be loaded into any number of contexts.
class Input {
public:
  /// Reads the files. Errors are one line that names the file.
  static llvm::Expected<Input> open(const InputOptions &options);

  /// The module of unresolved layers, at least one. Where the input is a module
  /// its attributes stand: an option that contradicts one is an error, and so is
  /// a layer that is already resolved. The context knows the dialects.
  llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> load(mlir::MLIRContext &context) const;

  /// Where the layers of a module that `load` gave came from.
  Origin getOrigin(mlir::ModuleOp module) const;

  const InputOptions &getOptions() const { return options; }

  /// Whether the input is a '.mlir' file.
  bool isModule() const { return !checkpoint; }

  /// An error unless every layer has what kernels are made from: a geometry and
  /// a source type.
  llvm::Error requireShapes(mlir::ModuleOp module) const;

private:
  explicit Input(InputOptions options) : options(std::move(options)) {}

  llvm::Error readModule();
  llvm::Error applyOptions(mlir::ModuleOp module) const;

  InputOptions options;
  std::optional<Checkpoint> checkpoint;
  /// The text of a '.mlir' file and its SHA-256.
  std::string text, textHash;
};

/// An input with a module of its unresolved layers.
struct LoadedInput {
  Input input;
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;

  /// Opens the input and loads it into a context of its own, without threads.
  static llvm::Expected<LoadedInput> open(const InputOptions &options);
};

} // namespace kvq

#endif // KVQ_DRIVER_INPUT_H
