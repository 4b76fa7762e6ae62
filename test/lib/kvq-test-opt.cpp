//===- kvq-test-opt.cpp - kvq-opt with the passes of the tests ------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TestPasses.h"
#include "kvq/Pipelines/Pipelines.h"
#include "kvq/Serialize/Serializer.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  kvq::registerDialects(registry);
  kvq::registerSerializationDialects(registry);
  kvq::registerPasses();
  kvq::test::registerEmulateGpuPass();
  kvq::test::registerWriteSharedObjectPass();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "kvq-opt with the passes of the tests\n", registry));
}
