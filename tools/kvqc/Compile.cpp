//===- Compile.cpp - kvqc compile -----------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Compile.h"
#include "Commands.h"
#include "PassArguments.h"
#include "kvq/Support/OutputDirectory.h"
#include "llvm/ADT/StringExtras.h"
#include <limits>

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
static InputArguments input(command, category);

static cl::opt<std::string> output("o", cl::desc("The folder to write"), cl::value_desc("DIR"),
                                   cl::sub(command), cl::cat(category));
static cl::list<std::string> targets("target",
                                     cl::desc("A chip's name; any number of them (default: host)"),
                                     cl::value_desc("chip"), cl::CommaSeparated, cl::sub(command),
                                     cl::cat(category));
static cl::list<std::string>
    ops("ops", cl::desc("The operations to make kernels for (default: store,load)"),
        cl::value_desc("op,..."), cl::CommaSeparated, cl::sub(command), cl::cat(category));
static constexpr int64_t largest = kLargestSize;
static constexpr int64_t lastSlot = std::numeric_limits<int64_t>::max();

static PassArguments kernels(command, category);
static PassArgument layout(kernels, "layout", &KernelOptions::layout, parseWord<LayoutKind>,
                           "layout", "The order inside a cache block");
static PassArgument
    bounds(kernels, "bounds", &KernelOptions::bounds, parseWord<Bounds>, "mode",
           "Slots beyond the cache: check skips them, count also counts them, off trusts the "
           "caller (default: check)");
static PassArgument scales(kernels, "scales", &KernelOptions::scales, parseWord<ScalesMode>, "mode",
                           "fold: constants in the kernels; argument: pointers (default: fold)");
static PassArgument blockSize(kernels, "block-size", &KernelOptions::blockSize, number(1, largest),
                              "rows", "Rows of a block (default: 16)");
static PassArgument slotType(kernels, "slot-type", &KernelOptions::slotType, parseWord<SlotType>,
                             "type", "The integers of slot_mapping (default: i64)");
static PassArgument paddingSlot(kernels, "padding-slot", &KernelOptions::paddingSlot,
                                number(0, lastSlot), "slot",
                                "A slot that is skipped, as negative ones are");
static PassArgument qScaleConstant(kernels, "q-scale-constant", &KernelOptions::qScaleConstant,
                                   parseConstant, "number",
                                   "What compute_scales divides maxima of q by (default: 200)");
static PassArgument kScaleConstant(kernels, "k-scale-constant", &KernelOptions::kScaleConstant,
                                   parseConstant, "number", "The same of k (default: 200)");
static PassArgument vScaleConstant(kernels, "v-scale-constant", &KernelOptions::vScaleConstant,
                                   parseConstant, "number", "The same of v (default: 100)");
static PassArgument align(kernels, "align", &KernelOptions::align, parseAlign, "bytes",
                          "Bytes that pointers and strides are multiples of (default: 16)");
static PassArgument tensorParallelSize(kernels, "tensor-parallel-size",
                                       &KernelOptions::tensorParallelSize, number(1, largest),
                                       "ranks", "Ranks that share the heads (default: 1)");
static PassFlag fnuz(kernels, "fnuz", &KernelOptions::fnuz, "Use the fnuz formats on the host");
static PassFlag perHeadScales(kernels, "per-head-scales", &KernelOptions::perHeadScales,
                              "Take k and v scales of one number a KV head");
static cl::opt<std::string> jobs("j", cl::desc("Threads that compile (default: all cores)"),
                                 cl::value_desc("number"), cl::Prefix, cl::sub(command),
                                 cl::cat(category));
static cl::opt<std::string>
    cacheFolder("cache-dir",
                cl::desc("Where compiled kernels are kept (default: KVQ_CACHE_DIR, or kvq in "
                         "XDG_CACHE_HOME or ~/.cache)"),
                cl::value_desc("folder"), cl::sub(command), cl::cat(category));
static cl::opt<bool> noCache("no-cache", cl::desc("Compile every kernel, and keep none"),
                             cl::sub(command), cl::cat(category));
static cl::opt<std::string>
    cacheSizeLimit("cache-size-limit",
                   cl::desc("Megabytes that the cache may hold (default: 1024)"),
                   cl::value_desc("megabytes"), cl::sub(command), cl::cat(category));
static cl::opt<bool> cacheStatistics("cache-statistics",
                                     cl::desc("Print how many kernels the cache had"),
                                     cl::sub(command), cl::cat(category));
static cl::opt<bool>
    saveTemps("save-temps",
              cl::desc("Write each target's layers with their resolved scales too, as "
                       "CHIP.resolved.mlir"),
              cl::sub(command), cl::cat(category));
static cl::opt<bool>
    printPipeline("print-pipeline",
                  cl::desc("Print each target's passes as kvq-opt --pass-pipeline takes them; "
                           "without -o that is all"),
                  cl::sub(command), cl::cat(category));

static llvm::Error readOps(llvm::SmallVectorImpl<std::string> &words) {
  if (!ops.getNumOccurrences())
    return llvm::Error::success();
  words.clear();
  for (const std::string &word : ops) {
    if (llvm::Error error = parseWord<CacheOpKind>("ops", word).takeError())
      return error;
    if (!llvm::is_contained(words, word))
      words.push_back(word);
  }
  return llvm::Error::success();
}

static llvm::Error readCacheOptions(CacheOptions &options) {
  if (noCache && cacheFolder.getNumOccurrences())
    return llvm::createStringError("expected one of '--no-cache' and '--cache-dir', but got both");
  if (!noCache)
    options.folder = cacheFolder.getNumOccurrences() ? cacheFolder : getDefaultCacheFolder();
  if (!cacheSizeLimit.getNumOccurrences())
    return llvm::Error::success();
  constexpr int64_t megabyte = 1 << 20;
  llvm::Expected<int64_t> number = parseNumber("--cache-size-limit", cacheSizeLimit, 0, largest);
  if (!number)
    return number.takeError();
  options.sizeLimit = uint64_t(*number * megabyte);
  return llvm::Error::success();
}

static llvm::Expected<CompileOptions> readOptions() {
  CompileOptions options;
  if (llvm::Error error = input.get().moveInto(options.input))
    return error;
  options.targets = targets;
  // The first option that is wrong is the one to speak of.
  if (llvm::Error error = readOps(options.kernels.ops))
    return error;
  if (llvm::Error error = kernels.read(options.kernels))
    return error;
  if (layout.isGiven())
    options.input.layout = options.kernels.layout;
  if (tensorParallelSize.isGiven())
    options.input.tensorParallelSize = options.kernels.tensorParallelSize;
  options.saveTemps = saveTemps;
  if (jobs.getNumOccurrences()) {
    llvm::Expected<int64_t> number = parseNumber("-j", jobs, 1, 1024);
    if (!number)
      return number.takeError();
    options.jobs = unsigned(*number);
  }
  if (llvm::Error error = readCacheOptions(options.cache))
    return error;
  return options;
}

static llvm::Error run() {
  llvm::Expected<CompileOptions> options = readOptions();
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
