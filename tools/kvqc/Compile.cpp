//===- Compile.cpp - kvqc compile -----------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Compile.h"
#include "Commands.h"
#include "Options.h"
#include "kvq/Support/OutputDirectory.h"
#include "llvm/ADT/StringExtras.h"

using namespace kvq;
namespace cl = llvm::cl;

static cl::SubCommand command("compile", R"(Compiles a checkpoint's scales into cache kernels

CHECKPOINT is a folder of Hugging Face files, a legacy kv_cache_scales.json or a .mlir file.
DIR then holds manifest.json, the code objects that it names, and kvq_kernels.h. An earlier
output there is replaced as a whole.

  kvqc compile Llama-3.1-8B-FP8-KV -o kernels                       for this machine's CPU
  kvqc compile Llama-3.1-8B-FP8-KV -o kernels --target sm_90 --target gfx942
  kvqc compile Llama-3.1-70B-FP8-KV -o kernels --target sm_90 --tensor-parallel-size 8
  kvqc compile model.mlir -o kernels --fnuz                         the CPU stands in for an MI300
  kvqc compile model.mlir --target sm_90 --print-pipeline           the passes, for kvq-opt)");
static cl::OptionCategory category("Options of compile");
static cl::opt<std::string> output("o", cl::desc("The folder to write"), cl::value_desc("DIR"),
                                   cl::sub(command), cl::cat(category));
static cl::opt<bool> cacheStatistics("cache-statistics",
                                     cl::desc("Print how many kernels the cache had"),
                                     cl::sub(command), cl::cat(category));
static cl::opt<bool>
    printPipeline("print-pipeline",
                  cl::desc("Print each target's passes as kvq-opt --pass-pipeline takes them; "
                           "without -o that is all"),
                  cl::sub(command), cl::cat(category));

namespace {

/// What is compiled, and how.
struct CompileArguments : Arguments {
  CompileArguments() : Arguments(command, category) {
    addList("target", "chip", "A chip's name; any number of them (default: host)")
        .setMiscFlag(cl::CommaSeparated);
    addList("ops", "op,...", "The operations to make kernels for (default: store,load)")
        .setMiscFlag(cl::CommaSeparated);
    add("layout", "layout", "The order inside a cache block");
    add("bounds", "mode",
        "Slots beyond the cache: check skips them, count also counts them, off trusts the caller "
        "(default: check)");
    add("scales", "mode",
        "fold: constants in the kernels; argument: pointers; both: kernels of either sort "
        "(default: fold)");
    add("block-size", "rows", "Rows of a block (default: 16)");
    add("slot-type", "type", "The integers of slot_mapping (default: i64)");
    add("padding-slot", "slot", "A slot that is skipped, as negative ones are");
    add("q-scale-constant", "number", "What compute_scales divides maxima of q by (default: 200)");
    add("k-scale-constant", "number", "The same of k (default: 200)");
    add("v-scale-constant", "number", "The same of v (default: 100)");
    addList("align", "bytes,...",
            "Bytes that pointers and strides are multiples of; several for kernels of each "
            "(default: 16)")
        .setMiscFlag(cl::CommaSeparated);
    add("tensor-parallel-size", "ranks", "Ranks that share the heads (default: 1)");
    addFlag("fnuz", "Use the fnuz formats on the host");
    addFlag("per-head-scales", "Take k and v scales of one number a KV head");
    addFlag("save-temps", "Write each target's layers with their resolved scales too, as "
                          "CHIP.resolved.mlir");
    add("j", "number", "Threads that compile (default: all cores)").setFormattingFlag(cl::Prefix);
    add("cache-dir", "folder",
        "Where compiled kernels are kept (default: KVQ_CACHE_DIR, or kvq in XDG_CACHE_HOME or "
        "~/.cache)");
    addFlag("no-cache", "Compile every kernel, and keep none");
    add("cache-size-limit", "megabytes", "Megabytes that the cache may hold (default: 1024)");
  }
};

} // namespace

static CompileArguments arguments;

static llvm::Error run() {
  llvm::Expected<CompileOptions> options = arguments.read(readCompileOptions);
  if (!options)
    return options.takeError();
  if (!output.getNumOccurrences() && !printPipeline)
    return llvm::createStringError("expected '-o DIR', the folder to write");
  if (printPipeline) {
    llvm::Expected<std::vector<std::string>> pipelines = describePipelines(*options);
    if (!pipelines)
      return pipelines.takeError();
    if (llvm::Error error = writeStandardOutput(llvm::join(*pipelines, "\n") + "\n"))
      return error;
    if (!output.getNumOccurrences())
      return llvm::Error::success();
  }
  Progress progress(/*enabled=*/true);
  llvm::Expected<CompileReport> report = compile(*options, output, progress);
  progress.clear();
  if (!report)
    return report.takeError();
  for (const std::string &warning : report->warnings)
    printWarning(warning);
  if (cacheStatistics)
    return writeStandardOutput("kernels: " + std::to_string(report->kernels) +
                               ", built: " + std::to_string(report->kernelsBuilt) + "\n");
  return llvm::Error::success();
}

Command kvq::compileCommand() { return {&command, &category, run}; }
