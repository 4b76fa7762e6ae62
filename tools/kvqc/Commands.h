//===- Commands.h - The subcommands of kvqc ---------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_TOOLS_KVQC_COMMANDS_H
#define KVQ_TOOLS_KVQC_COMMANDS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace kvq {

/// A subcommand: the options that LLVM's command line knows of it, and what it
/// does once they are read.
struct Command {
  llvm::cl::SubCommand *options;
  llvm::cl::OptionCategory *category;
  llvm::Error (*run)();
};

Command importCommand();
Command inspectCommand();
Command compileCommand();
Command showCommand();
Command verifyCommand();
Command diffCommand();

/// An outcome that is no error and yet exit status 1; nothing is printed.
class Difference : public llvm::ErrorInfo<Difference> {
public:
  static char ID;
  void log(llvm::raw_ostream &os) const override;
  std::error_code convertToErrorCode() const override;
};

/// Prints a warning, "warning: " before it.
void printWarning(llvm::StringRef text);

/// Prints all `errors` but the last, which becomes the command's own; success if
/// there are none.
llvm::Error reportErrors(llvm::ArrayRef<std::string> errors);

/// Prints an error, "error: " before it.
void printError(llvm::StringRef text);

} // namespace kvq

#endif // KVQ_TOOLS_KVQC_COMMANDS_H
