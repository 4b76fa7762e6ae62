//===- VerifyLowered.cpp - Nothing is left that LLVM cannot lower ---------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Dialect/Kvq.h"
#include "kvq/Passes.h"
#include "mlir/IR/TypeUtilities.h"

namespace kvq {
#define GEN_PASS_DEF_VERIFYLOWEREDPASS
#include "kvq/Passes.h.inc"
} // namespace kvq

using namespace mlir;
using namespace kvq;

namespace {

struct VerifyLowered : kvq::impl::VerifyLoweredPassBase<VerifyLowered> {
  using VerifyLoweredPassBase::VerifyLoweredPassBase;

  void runOnOperation() override {
    if (!backend.empty() && failed(checkBackend()))
      return signalPassFailure();
    WalkResult result = getOperation()->walk([](Operation *op) -> WalkResult {
      if (isa_and_nonnull<KvqDialect>(op->getDialect()))
        return WalkResult(op->emitError("expected no kvq operation after lowering, but got '")
                          << op->getName() << "'");
      for (Type type : llvm::concat<const Type>(llvm::to_vector(op->getOperandTypes()),
                                                llvm::to_vector(op->getResultTypes())))
        if (getFp8Format(getElementTypeOrSelf(type)))
          return WalkResult(op->emitError("expected no FP8 value after lowering, but got ")
                            << type);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

  /// Holds the module's target against the option.
  LogicalResult checkBackend() {
    std::optional<Backend> wanted = symbolize<Backend>(backend);
    if (!wanted)
      return getOperation()->emitError("expected 'backend' to be one of ")
             << listNames<Backend>() << ", but got '" << backend << "'";
    FailureOr<TargetAttr> target = requireTarget(getOperation());
    if (failed(target))
      return failure();
    const ChipInfo &chip = target->getChipInfo();
    if (chip.backend == *wanted)
      return success();
    return getOperation()->emitError("expected a chip of backend '")
           << backend << "', but got '" << chip.name << "' of backend '" << stringify(chip.backend)
           << "'";
  }
};

} // namespace
