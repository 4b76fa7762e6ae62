//===- PassArguments.h - Options that are those of passes -------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_TOOLS_KVQC_PASSARGUMENTS_H
#define KVQ_TOOLS_KVQC_PASSARGUMENTS_H

#include "Options.h"
#include "kvq/Pipelines/Pipelines.h"
#include <functional>

namespace kvq {

class PassArgument;
class PassFlag;

/// The options of a subcommand that set a member of KernelOptions, in the order
/// in which they are declared.
class PassArguments {
public:
  PassArguments(llvm::cl::SubCommand &command, llvm::cl::OptionCategory &category)
      : command(command), category(category) {}

  /// Sets the members whose options were given; the first that is wrong is the
  /// error.
  llvm::Error read(KernelOptions &options) const;

private:
  friend PassArgument;
  friend PassFlag;

  llvm::cl::SubCommand &command;
  llvm::cl::OptionCategory &category;
  std::vector<const PassArgument *> all;
  std::vector<const PassFlag *> flags;
};

/// One of them, declared beside the others with static storage:
///
///   static PassArgument layout(kernels, "layout", &KernelOptions::layout,
///                                parseWord<LayoutKind>, "layout", "The order inside a block");
class PassArgument {
public:
  /// `parse` makes the member's value of the option's name, without dashes, and
  /// its text; `value` and `help` are for --help.
  template <typename Value, typename Part, typename Parse>
  PassArgument(PassArguments &arguments, llvm::StringRef name, Value Part::*member, Parse parse,
               llvm::StringRef value, llvm::StringRef help)
      : option(name, llvm::cl::desc(help), llvm::cl::value_desc(value),
               llvm::cl::sub(arguments.command), llvm::cl::cat(arguments.category)),
        set([member, parse](llvm::StringRef name, llvm::StringRef text, KernelOptions &options) {
          return llvm::Expected<Value>(parse(name, text)).moveInto(options.*member);
        }) {
    arguments.all.push_back(this);
  }

  bool isGiven() const { return option.getNumOccurrences() != 0; }

private:
  friend PassArguments;

  llvm::cl::opt<std::string> option;
  std::function<llvm::Error(llvm::StringRef, llvm::StringRef, KernelOptions &)> set;
};

/// A flag among them, beside the command's other options.
class PassFlag {
public:
  template <typename Part>
  PassFlag(PassArguments &arguments, llvm::StringRef name, bool Part::*member, llvm::StringRef help)
      : option(name, llvm::cl::desc(help), llvm::cl::sub(arguments.command),
               llvm::cl::cat(arguments.category)),
        set([member](bool value, KernelOptions &options) { options.*member = value; }) {
    arguments.flags.push_back(this);
  }

private:
  friend PassArguments;

  llvm::cl::opt<bool> option;
  std::function<void(bool, KernelOptions &)> set;
};

/// Parses numbers from `least` to `most`.
inline auto number(int64_t least, int64_t most) {
  return [least, most](llvm::StringRef name, llvm::StringRef text) {
    return parseNumber(("--" + name).str(), text, least, most);
  };
}

} // namespace kvq

#endif // KVQ_TOOLS_KVQC_PASSARGUMENTS_H
