//===- Diagnostics.h - MLIR's diagnostics as one-line errors ----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DRIVER_DIAGNOSTICS_H
#define KVQ_DRIVER_DIAGNOSTICS_H

#include "kvq/Dialect/Kvq.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Error.h"

namespace kvq {

/// An error on a layer, or on the module: "FILE: LAYER: text", with line and
/// column where the file is a module.
llvm::Error layerError(AttentionOp layer, const llvm::Twine &text);
llvm::Error moduleError(mlir::ModuleOp module, const llvm::Twine &text);

/// Takes the diagnostics of a context while it lives, and prints none.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext &context);

  /// The first error as one line, with the layer that it is on. Without any
  /// diagnostic the error is `fallback`.
  llvm::Error takeError(mlir::ModuleOp module, const llvm::Twine &fallback);

private:
  std::optional<std::pair<mlir::Location, std::string>> first;
  mlir::ScopedDiagnosticHandler handler;
};

/// Texts about layers, each text once, in the order they come in.
class TextList {
public:
  /// Adds `text`, unless it is there; `layer` is the first that it was said of.
  void add(llvm::StringRef layer, llvm::StringRef text);

  /// Every text.
  const std::vector<std::string> &getTexts() const { return texts; }

  /// "LAYER: text" for each of them, on one line; the text alone where there is
  /// no layer.
  std::vector<std::string> describe() const;

private:
  llvm::StringSet<> known;
  std::vector<std::string> texts, layers;
};

} // namespace kvq

#endif // KVQ_DRIVER_DIAGNOSTICS_H
