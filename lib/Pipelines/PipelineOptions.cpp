//===- PipelineOptions.cpp - Options of pipelines as text -----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PipelineOptions.h"

using namespace mlir;
using namespace kvq;
namespace cl = llvm::cl;

namespace {

using Entry = PipelineOptions::Entry;

/// A row as llvm-tblgen writes it.
struct PipelineOptionRow {
  const char *argument, *description;
  Entry (*make)(PipelineOptions &parent, StringRef argument, StringRef description);
};

template <typename Value> constexpr bool isList = false;
template <typename Element> constexpr bool isList<SmallVector<Element>> = true;

/// Makes the option of a member of KernelOptions; type and default are the
/// member's.
template <auto member>
Entry makeOption(PipelineOptions &parent, StringRef argument, StringRef description) {
  auto initial = KernelOptions().*member;
  using Value = decltype(initial);
  if constexpr (isList<Value>) {
    using Element = typename Value::value_type;
    auto option = std::make_unique<PipelineOptions::ListOption<Element>>(parent, argument,
                                                                         cl::desc(description));
    auto apply = [list = option.get()](KernelOptions &options) {
      (options.*member).assign(list->begin(), list->end());
    };
    return {std::move(option), apply};
  } else {
    auto make = [&](auto... more) {
      return std::make_unique<PipelineOptions::Option<Value>>(
          parent, argument, cl::desc(description), cl::init(initial), more...);
    };
    std::unique_ptr<PipelineOptions::Option<Value>> option;
    if constexpr (std::is_enum_v<Value>)
      option = make(nameValues<Value>());
    else
      option = make();
    auto apply = [value = option.get()](KernelOptions &options) {
      options.*member = value->getValue();
    };
    return {std::move(option), apply};
  }
}

#define GET_PipelineOptionTable_DECL
#define GET_PipelineOptionTable_IMPL
#include "kvq/Pipelines/PipelineOptions.inc"

} // namespace

PipelineOptions::PipelineOptions() {
  for (const PipelineOptionRow &row : PipelineOptionTable)
    entries.push_back(row.make(*this, row.argument, row.description));
}

KernelOptions PipelineOptions::get() const {
  KernelOptions options;
  for (const Entry &entry : entries)
    entry.apply(options);
  return options;
}
