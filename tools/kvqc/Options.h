//===- Options.h - Options that subcommands share ---------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_TOOLS_KVQC_OPTIONS_H
#define KVQ_TOOLS_KVQC_OPTIONS_H

#include "kvq/Driver/Input.h"
#include "kvq/Driver/OptionText.h"
#include "llvm/Support/CommandLine.h"

namespace kvq {

/// "a, b or c" of the words of an enumeration, for a help text.
template <typename Enum> std::string helpWords() {
  std::string text;
  for (Enum value : allValues<Enum>())
    text += (text.empty() ? "" : ", ") + stringify(value).str();
  return text;
}

/// The checkpoint, and the options that say how to read it.
class InputArguments {
public:
  InputArguments(llvm::cl::SubCommand &command, llvm::cl::OptionCategory &category);

  /// What the user said, without the tensor-parallel size.
  llvm::Expected<InputOptions> get() const;

private:
  llvm::cl::list<std::string> checkpoint;
  llvm::cl::opt<std::string> config, dtype, sourceType;
  llvm::cl::opt<bool> calculateKVScales;
  std::string dtypeHelp, sourceTypeHelp;
};

} // namespace kvq

#endif // KVQ_TOOLS_KVQC_OPTIONS_H
