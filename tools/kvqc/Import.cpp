//===- Import.cpp - kvqc import -------------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Import.h"
#include "Commands.h"
#include "Options.h"
#include "kvq/Support/OutputDirectory.h"

using namespace kvq;
namespace cl = llvm::cl;

static cl::SubCommand command("import",
                              R"(Reads a checkpoint's attention layers and their scales as MLIR

CHECKPOINT is a folder of Hugging Face files, a legacy kv_cache_scales.json or a .mlir file.
The module has a kvq.attention for each layer that owns a cache, with the scales as the files give them.

  kvqc import Llama-3.1-8B-FP8-KV                     prints the module
  kvqc import Llama-3.1-8B-FP8-KV -o model.mlir       writes it, to edit and compile
  kvq-opt model.mlir --kvq-resolve-scales=chip=sm_90  what an engine makes of the scales)");
static cl::OptionCategory category("Options of import");
static Arguments arguments(command, category);
static cl::opt<std::string> output("o", cl::desc("The file to write (default: -, standard output)"),
                                   cl::value_desc("file"), cl::sub(command), cl::cat(category));

static llvm::Error run() {
  llvm::Expected<InputOptions> options = arguments.read(readInputOptions);
  if (!options)
    return options.takeError();
  llvm::Expected<std::string> text = importToText(*options);
  if (!text)
    return text.takeError();
  if (output.getNumOccurrences() && output != "-")
    return writeOutputFile(output, *text);
  return writeStandardOutput(*text);
}

Command kvq::importCommand() { return {&command, &category, run}; }
