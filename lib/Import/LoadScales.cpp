//===- LoadScales.cpp - Reads a checkpoint into a module ------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Dialect/Kvq.h"
#include "kvq/Import/ImportCheckpoint.h"
#include "kvq/Passes.h"

namespace kvq {
#define GEN_PASS_DEF_LOADSCALESPASS
#include "kvq/Passes.h.inc"
} // namespace kvq

using namespace mlir;
using namespace kvq;

namespace {

struct LoadScales : kvq::impl::LoadScalesPassBase<LoadScales> {
  using LoadScalesPassBase::LoadScalesPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto fail = [&](const Twine &text) {
      module.emitError(text);
      signalPassFailure();
    };
    if (checkpoint.empty())
      return fail("expected the option 'checkpoint' to name a folder or a file");
    if (!module.getOps<AttentionOp>().empty())
      return fail("expected a module without layers to load a checkpoint into");
    ImportOptions options;
    options.dtype = kvCacheDtype;
    options.calculateKVScales = calculateKVScales;
    if (!sourceType.empty()) {
      options.sourceType = symbolize<SourceType>(sourceType);
      if (!options.sourceType)
        return fail("expected 'source-type' to be one of " + listNames<SourceType>() +
                    ", but got '" + sourceType.getValue() + "'");
    }
    ReadOptions readOptions;
    readOptions.configFile = config;
    llvm::Expected<Checkpoint> read = readCheckpoint(checkpoint, readOptions);
    if (!read)
      return fail(llvm::toString(read.takeError()));
    importCheckpoint(*read, checkpoint, options, module);
  }
};

} // namespace
