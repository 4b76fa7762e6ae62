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
#include <cmath>
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
static cl::opt<std::string> layout("layout", cl::desc("The order inside a cache block"),
                                   cl::value_desc("layout"), cl::sub(command), cl::cat(category));
static cl::opt<std::string> blockSize("block-size", cl::desc("Rows of a block (default: 16)"),
                                      cl::value_desc("rows"), cl::sub(command), cl::cat(category));
static cl::opt<std::string>
    scales("scales", cl::desc("fold: constants in the kernels; argument: pointers (default: fold)"),
           cl::value_desc("mode"), cl::sub(command), cl::cat(category));
static cl::opt<std::string> tensorParallelSize("tensor-parallel-size",
                                               cl::desc("Ranks that share the heads (default: 1)"),
                                               cl::value_desc("ranks"), cl::sub(command),
                                               cl::cat(category));
static cl::opt<std::string>
    bounds("bounds",
           cl::desc("Slots beyond the cache: check skips them, count also counts them, off trusts "
                    "the caller (default: check)"),
           cl::value_desc("mode"), cl::sub(command), cl::cat(category));
static cl::opt<std::string>
    align("align", cl::desc("Bytes that pointers and strides are multiples of (default: 16)"),
          cl::value_desc("bytes"), cl::sub(command), cl::cat(category));
static cl::opt<std::string> slotType("slot-type",
                                     cl::desc("The integers of slot_mapping (default: i64)"),
                                     cl::value_desc("type"), cl::sub(command), cl::cat(category));
static cl::opt<std::string> paddingSlot("padding-slot",
                                        cl::desc("A slot that is skipped, as negative ones are"),
                                        cl::value_desc("slot"), cl::sub(command),
                                        cl::cat(category));
static cl::opt<std::string>
    qScaleConstant("q-scale-constant",
                   cl::desc("What compute_scales divides maxima of q by (default: 200)"),
                   cl::value_desc("number"), cl::sub(command), cl::cat(category));
static cl::opt<std::string> kScaleConstant("k-scale-constant",
                                           cl::desc("The same of k (default: 200)"),
                                           cl::value_desc("number"), cl::sub(command),
                                           cl::cat(category));
static cl::opt<std::string> vScaleConstant("v-scale-constant",
                                           cl::desc("The same of v (default: 100)"),
                                           cl::value_desc("number"), cl::sub(command),
                                           cl::cat(category));
static cl::opt<bool> fnuz("fnuz", cl::desc("Use the fnuz formats on the host"), cl::sub(command),
                          cl::cat(category));
static cl::opt<std::string> jobs("j", cl::desc("Targets at a time (default: all cores)"),
                                 cl::value_desc("number"), cl::Prefix, cl::sub(command),
                                 cl::cat(category));
static cl::opt<bool>
    printPipeline("print-pipeline",
                  cl::desc("Print each target's passes as kvq-opt --pass-pipeline takes them; "
                           "without -o that is all"),
                  cl::sub(command), cl::cat(category));

/// The largest number that makes sense for a size that is not otherwise bounded.
static constexpr int64_t largest = 1 << 20;

/// Sets `value` if the option was given, from its word or number.
template <typename Enum> static llvm::Error read(const cl::opt<std::string> &option, Enum &value) {
  if (!option.getNumOccurrences())
    return llvm::Error::success();
  return parseWord<Enum>(option.ArgStr, option).moveInto(value);
}

static llvm::Error readNumber(const cl::opt<std::string> &option, int64_t most, int64_t &value,
                              int64_t least = 1) {
  if (!option.getNumOccurrences())
    return llvm::Error::success();
  std::string name = (option.ArgStr.size() == 1 ? "-" : "--") + option.ArgStr.str();
  return parseNumber(name, option, least, most).moveInto(value);
}

/// A divisor as a float32 holds it.
static llvm::Error readConstant(const cl::opt<std::string> &option, double &value) {
  if (!option.getNumOccurrences())
    return llvm::Error::success();
  bool isNumber = llvm::to_float(option, value);
  float narrow = isNumber ? float(value) : 0.0f;
  if (narrow > 0 && std::isfinite(narrow))
    return llvm::Error::success();
  return llvm::createStringError("expected '--" + option.ArgStr +
                                 "' to be a positive float32 number, but got " + quoteName(option));
}

static llvm::Error readOps(std::vector<CacheOpKind> &kinds) {
  if (!ops.getNumOccurrences())
    return llvm::Error::success();
  kinds.clear();
  for (const std::string &word : ops) {
    llvm::Expected<CacheOpKind> kind = parseWord<CacheOpKind>("ops", word);
    if (!kind)
      return kind.takeError();
    if (!llvm::is_contained(kinds, *kind))
      kinds.push_back(*kind);
  }
  return llvm::Error::success();
}

static llvm::Expected<CompileOptions> readOptions() {
  CompileOptions options;
  if (llvm::Error error = input.get().moveInto(options.input))
    return error;
  options.targets = targets;
  options.fnuz = fnuz;
  int64_t numJobs = 0;
  // The first option that is wrong is the one to speak of.
  if (llvm::Error error = readOps(options.ops))
    return error;
  if (llvm::Error error = read(layout, options.layout))
    return error;
  if (llvm::Error error = read(bounds, options.bounds))
    return error;
  if (llvm::Error error = read(scales, options.scales))
    return error;
  if (llvm::Error error = readNumber(blockSize, largest, options.blockSize))
    return error;
  if (llvm::Error error = read(slotType, options.slotType))
    return error;
  constexpr int64_t lastSlot = std::numeric_limits<int64_t>::max();
  if (llvm::Error error = readNumber(paddingSlot, lastSlot, options.paddingSlot, 0))
    return error;
  if (llvm::Error error = readConstant(qScaleConstant, options.qScaleConstant))
    return error;
  if (llvm::Error error = readConstant(kScaleConstant, options.kScaleConstant))
    return error;
  if (llvm::Error error = readConstant(vScaleConstant, options.vScaleConstant))
    return error;
  if (llvm::Error error = readNumber(align, 32, options.align))
    return error;
  if (!llvm::isPowerOf2_64(options.align))
    return llvm::createStringError("expected '--align' to be 1, 2, 4, 8, 16 or 32, but got " +
                                   quoteName(align));
  if (llvm::Error error = readNumber(tensorParallelSize, largest, options.tensorParallelSize))
    return error;
  if (llvm::Error error = readNumber(jobs, 1024, numJobs))
    return error;
  if (tensorParallelSize.getNumOccurrences())
    options.input.tensorParallelSize = options.tensorParallelSize;
  options.jobs = unsigned(numJobs);
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
  return llvm::Error::success();
}

Command kvq::compileCommand() { return {&command, &category, run}; }
