//===- Inspect.cpp - kvqc inspect -----------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Inspect.h"
#include "Commands.h"
#include "Options.h"
#include "kvq/Support/OutputDirectory.h"
#include "kvq/Support/Quote.h"

using namespace kvq;
namespace cl = llvm::cl;

static cl::SubCommand
    command("inspect",
            R"(Shows what a checkpoint says of its KV cache, and what an engine makes of it

CHECKPOINT is a folder of Hugging Face files, a legacy kv_cache_scales.json or a .mlir file.
Each layer's scales are shown as the files give them and as resolved for one target, with the
engine's warnings and kvq's own notes. A layer whose scales an engine would refuse is an error.

  kvqc inspect Llama-3.1-8B-FP8-KV                    as on a GPU with OCP formats
  kvqc inspect Llama-3.1-8B-FP8-KV --target gfx942    as on an MI300
  kvqc inspect Llama-3.1-8B-FP8-KV --format json      for a script)");
static cl::OptionCategory category("Options of inspect");

namespace {

/// What is inspected, and for which target.
struct InspectArguments : Arguments {
  InspectArguments() : Arguments(command, category) {
    addList("target", "chip", "A chip's name (default: host)");
    addFlag("fnuz", "Use the fnuz formats on the host");
    addFlag("per-head-scales", "Take k and v scales of one number a KV head");
  }
};

} // namespace

static InspectArguments arguments;
static cl::opt<std::string> format("format", cl::desc("table or json (default: table)"),
                                   cl::value_desc("format"), cl::init("table"), cl::sub(command),
                                   cl::cat(category));

static llvm::Error run() {
  llvm::Expected<InspectOptions> options = arguments.read(readInspectOptions);
  if (!options)
    return options.takeError();
  if (format != "table" && format != "json")
    return llvm::createStringError("expected '--format' to be one of 'table', 'json', but got " +
                                   quoteName(format));
  llvm::Expected<Inspection> inspection = inspect(*options);
  if (!inspection)
    return inspection.takeError();
  if (llvm::Error error = writeStandardOutput(format == "json" ? toJsonText(*inspection)
                                                               : toTableText(*inspection)))
    return error;
  for (const std::string &warning : inspection->warnings.describe())
    printWarning(warning);
  return reportErrors(inspection->errors);
}

Command kvq::inspectCommand() { return {&command, &category, run}; }
