//===- Modules.h - Lowered modules written by hand --------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_TEST_UNIT_SERIALIZE_MODULES_H
#define KVQ_TEST_UNIT_SERIALIZE_MODULES_H

#include "kvq/Serialize/Serializer.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "gtest/gtest.h"
#include <memory>

namespace kvq::test {

/// A parsed module with the context it lives in.
struct Parsed {
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;

  /// The module to serialise: the first gpu.module, else the whole.
  mlir::Operation *get();
};

/// Parses `text` in a context of its own; a failure is the test's.
Parsed parse(llvm::StringRef text);

/// A module for `chip` with one kernel `copy(source, target)`: each thread (on
/// the host each of 1024 iterations) copies its 16 bytes. `extra` is put into
/// the module, `body` at the kernel's start.
Parsed copyKernel(const ChipInfo &chip, llvm::StringRef extra = "", llvm::StringRef body = "");

/// The chips of one backend.
llvm::SmallVector<const ChipInfo *> chipsOf(Backend backend);

/// The only chip of the host.
const ChipInfo &host();

/// A shared object, loaded from a file as long as this lives; else a failure of
/// the test.
class Library {
public:
  explicit Library(const CodeObject &code);
  ~Library();
  Library(const Library &) = delete;
  Library &operator=(const Library &) = delete;

  /// The address of a symbol; null for none.
  void *find(const char *symbol) const;

private:
  void *handle = nullptr;
};

/// The value, or a failure of the test that prints the error.
template <typename T> T take(llvm::Expected<T> value) {
  if (value)
    return std::move(*value);
  ADD_FAILURE() << llvm::toString(value.takeError());
  return T();
}

/// The text of the error that `value` must be.
template <typename T> std::string errorOf(llvm::Expected<T> value) {
  if (value) {
    ADD_FAILURE() << "expected an error";
    return "";
  }
  return llvm::toString(value.takeError());
}

} // namespace kvq::test

#endif // KVQ_TEST_UNIT_SERIALIZE_MODULES_H
