//===- Options.h - Options that subcommands share ---------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_TOOLS_KVQC_OPTIONS_H
#define KVQ_TOOLS_KVQC_OPTIONS_H

#include "kvq/Driver/Input.h"
#include "kvq/Support/Names.h"
#include "kvq/Support/Quote.h"
#include "llvm/Support/CommandLine.h"

namespace kvq {

/// The value of an option whose values are the words of Names.def.
template <typename Enum>
llvm::Expected<Enum> parseWord(llvm::StringRef option, llvm::StringRef word) {
  if (std::optional<Enum> value = symbolize<Enum>(word))
    return *value;
  return llvm::createStringError("expected '--" + option + "' to be one of " + listNames<Enum>() +
                                 ", but got " + quoteName(word));
}

/// The value of an option that is a number from `least` to `most`.
llvm::Expected<int64_t> parseNumber(llvm::StringRef option, llvm::StringRef text, int64_t least,
                                    int64_t most);

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
