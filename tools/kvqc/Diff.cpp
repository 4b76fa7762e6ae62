//===- Diff.cpp - kvqc diff -----------------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Diff.h"
#include "Commands.h"
#include "kvq/Support/OutputDirectory.h"
#include "llvm/ADT/StringExtras.h"

using namespace kvq;
namespace cl = llvm::cl;

static cl::SubCommand command("diff", R"(Says what differs between two outputs of 'kvqc compile'

One line for each target, layer, scale, kernel, file, warning and note that differs, the first
folder's before the second's. Kernels are named by what they are made for, so that a layer whose
scale changed has another symbol. Exit status 0: the two are equal to the byte; 1: they differ,
or there was an error, which is an 'error:' line.

  kvqc diff kernels-before kernels-after)");
static cl::OptionCategory category("Options of diff");
static cl::list<std::string> folders(cl::Positional, cl::desc("DIR DIR"), cl::sub(command),
                                     cl::cat(category));

static llvm::Error run() {
  if (folders.size() != 2)
    return llvm::createStringError("expected two DIR, but got " + llvm::Twine(folders.size()));
  llvm::Expected<std::vector<std::string>> lines = diffArtefacts(folders[0], folders[1]);
  if (!lines)
    return lines.takeError();
  if (lines->empty())
    return llvm::Error::success();
  if (llvm::Error error = writeStandardOutput(llvm::join(*lines, "\n") + "\n"))
    return error;
  return llvm::make_error<Difference>();
}

Command kvq::diffCommand() { return {&command, &category, run}; }
