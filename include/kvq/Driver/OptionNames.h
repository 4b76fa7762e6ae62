//===- OptionNames.h - Options by the names users give them -----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The options of kvqc as words, which are the command line's and Python's: their
// names, what they may be, and what an error says of one that is wrong.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DRIVER_OPTIONNAMES_H
#define KVQ_DRIVER_OPTIONNAMES_H

#include "kvq/Driver/Compile.h"
#include "kvq/Driver/Inspect.h"

namespace kvq {

/// An option as a user gives it: kvqc's name without the dashes ("block-size"),
/// and its words; one, but for lists. A flag's word is "true" or "false".
struct NamedOption {
  std::string name;
  std::vector<std::string> words;
};

/// What `kvqc compile` makes of its options. An error names the first that is
/// wrong as "'--name'".
llvm::Expected<CompileOptions> readCompileOptions(llvm::StringRef checkpoint,
                                                  llvm::ArrayRef<NamedOption> options);

/// The same of `kvqc inspect`.
llvm::Expected<InspectOptions> readInspectOptions(llvm::StringRef checkpoint,
                                                  llvm::ArrayRef<NamedOption> options);

/// The same of `kvqc import`.
llvm::Expected<InputOptions> readInputOptions(llvm::StringRef checkpoint,
                                              llvm::ArrayRef<NamedOption> options);

} // namespace kvq

#endif // KVQ_DRIVER_OPTIONNAMES_H
