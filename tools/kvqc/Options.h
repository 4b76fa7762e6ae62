//===- Options.h - Options that subcommands share ---------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_TOOLS_KVQC_OPTIONS_H
#define KVQ_TOOLS_KVQC_OPTIONS_H

#include "kvq/Driver/OptionNames.h"
#include "llvm/Support/CommandLine.h"
#include <deque>
#include <functional>

namespace kvq {

/// The checkpoint and the options of a subcommand, as words for one of the
/// functions of OptionNames.h, which say what they may be. Declared with static
/// storage; the options of the input are there from the start.
class Arguments {
public:
  Arguments(llvm::cl::SubCommand &command, llvm::cl::OptionCategory &category);

  /// Adds an option of one word; `value` and `help` are for --help.
  llvm::cl::Option &add(llvm::StringRef name, llvm::StringRef value, std::string help);
  /// Adds an option that may be repeated.
  llvm::cl::Option &addList(llvm::StringRef name, llvm::StringRef value, std::string help);
  /// Adds an option without a word.
  void addFlag(llvm::StringRef name, std::string help);

  /// What `read` makes of the options that were given, in the order in which they
  /// were added.
  template <typename Options>
  llvm::Expected<Options> read(llvm::Expected<Options> (*read)(llvm::StringRef,
                                                               llvm::ArrayRef<NamedOption>)) const {
    if (checkpoint.size() != 1)
      return llvm::createStringError("expected one CHECKPOINT, but got " +
                                     llvm::Twine(checkpoint.size()));
    return read(checkpoint.front(), getGiven());
  }

private:
  struct Argument {
    std::string help;
    std::unique_ptr<llvm::cl::Option> option;
    std::function<std::vector<std::string>()> getWords;
  };

  /// Adds an option of a kind of LLVM's, whose words `getWords` reads.
  template <typename Kind, typename GetWords, typename... Modifiers>
  llvm::cl::Option &emplace(llvm::StringRef name, std::string help, GetWords getWords,
                            const Modifiers &...modifiers);

  std::vector<NamedOption> getGiven() const;

  llvm::cl::SubCommand &owner;
  llvm::cl::OptionCategory &group;
  llvm::cl::list<std::string> checkpoint;
  // Options keep references to their help.
  std::deque<Argument> arguments;
};

} // namespace kvq

#endif // KVQ_TOOLS_KVQC_OPTIONS_H
