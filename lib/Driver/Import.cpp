//===- Import.cpp - What kvqc import does ---------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Import.h"
#include "kvq/Pipelines/Pipelines.h"
#include "mlir/IR/MLIRContext.h"

using namespace mlir;
using namespace kvq;

llvm::Expected<std::string> kvq::importToText(const InputOptions &options) {
  llvm::Expected<Input> input = Input::open(options);
  if (!input)
    return input.takeError();
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  llvm::Expected<OwningOpRef<ModuleOp>> module = input->load(context);
  if (!module)
    return module.takeError();
  std::string text;
  llvm::raw_string_ostream os(text);
  (*module)->print(os);
  return text;
}
