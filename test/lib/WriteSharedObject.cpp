//===- WriteSharedObject.cpp - A module as a file for dlopen --------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TestPasses.h"
#include "kvq/Serialize/Serializer.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;

namespace {

struct WriteSharedObject : PassWrapper<WriteSharedObject, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(WriteSharedObject)

  WriteSharedObject() = default;
  WriteSharedObject(const WriteSharedObject &other) : PassWrapper(other) {}

  StringRef getArgument() const override { return "kvq-test-write-shared-object"; }
  StringRef getDescription() const override {
    return "Writes a module in the LLVM dialect as a shared object of this machine";
  }

  void runOnOperation() override {
    llvm::Expected<kvq::CodeObject> object =
        kvq::toSharedObject(getOperation(), *kvq::findChip("host"));
    if (!object) {
      getOperation().emitError(llvm::toString(object.takeError()));
      return signalPassFailure();
    }
    std::string message;
    auto output = openOutputFile(file, &message);
    if (!output) {
      getOperation().emitError(message);
      return signalPassFailure();
    }
    output->os().write(object->data(), object->size());
    output->keep();
  }

  Option<std::string> file{*this, "file", llvm::cl::desc("The file to write")};
};

} // namespace

void kvq::test::registerWriteSharedObjectPass() { PassRegistration<WriteSharedObject>(); }
