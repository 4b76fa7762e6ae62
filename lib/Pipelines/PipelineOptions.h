//===- PipelineOptions.h - Options of pipelines as text ---------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_PIPELINES_PIPELINEOPTIONS_H
#define KVQ_LIB_PIPELINES_PIPELINEOPTIONS_H

#include "kvq/Pipelines/Pipelines.h"
#include "mlir/Pass/PassOptions.h"
#include <functional>
#include <memory>

namespace kvq {

/// KernelOptions as the text of a registered pipeline gives them, with the names,
/// defaults and descriptions that the passes have (PipelineOptions.td).
class PipelineOptions : public mlir::PassPipelineOptions<PipelineOptions> {
public:
  PipelineOptions();

  KernelOptions get() const;

  struct Entry {
    std::unique_ptr<llvm::cl::Option> option;
    /// Sets its member.
    std::function<void(KernelOptions &)> apply;
  };

private:
  std::vector<Entry> entries;
};

} // namespace kvq

#endif // KVQ_LIB_PIPELINES_PIPELINEOPTIONS_H
