//===- Show.cpp - kvqc show -----------------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Show.h"
#include "Commands.h"
#include "kvq/Support/OutputDirectory.h"
#include "kvq/Support/Quote.h"

using namespace kvq;
namespace cl = llvm::cl;

static cl::SubCommand command("show", R"(Shows what is inside a folder that 'kvqc compile' wrote

Tables of its targets, files, kernels and layers. Every file is read and held to the SHA-256 of
the manifest; one that is not the file that was compiled is an error after the tables.

  kvqc show kernels
  kvqc show kernels --format json    the manifest, as it was understood)");
static cl::OptionCategory category("Options of show");
static cl::list<std::string> folders(cl::Positional, cl::desc("DIR"), cl::sub(command),
                                     cl::cat(category));
static cl::opt<std::string> format("format", cl::desc("table or json (default: table)"),
                                   cl::value_desc("format"), cl::init("table"), cl::sub(command),
                                   cl::cat(category));

static llvm::Error run() {
  if (folders.size() != 1)
    return llvm::createStringError("expected one DIR, but got " + llvm::Twine(folders.size()));
  if (format != "table" && format != "json")
    return llvm::createStringError("expected '--format' to be one of 'table', 'json', but got " +
                                   quoteName(format));
  llvm::Expected<Showing> showing = showArtefact(folders.front(), format == "json");
  if (!showing)
    return showing.takeError();
  if (llvm::Error error = writeStandardOutput(showing->text))
    return error;
  return reportErrors(showing->errors);
}

Command kvq::showCommand() { return {&command, &category, run}; }
