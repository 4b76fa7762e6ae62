//===- kvq-bench-compile.cpp - Times the way from IR to code objects ------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiles a store and a load kernel from the text of a layer to a code object
// again and again, in process, and prints the times of every stage as JSON. Each
// run has a context of its own, as each target of kvqc has.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "Statistics.h"
#include "kvq/Serialize/Serializer.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

using namespace kvq;
using namespace kvq::bench;
namespace cl = llvm::cl;

static cl::opt<std::string> chipName("chip", cl::desc("The chip to compile for"),
                                     cl::init("sm_90"));
static cl::opt<unsigned> runs("runs", cl::desc("How often to compile after the first time"),
                              cl::init(20));
static cl::opt<bool> assembles("assemble", cl::desc("Assemble the PTX of an NVVM chip"),
                               cl::init(true));

namespace {

/// The stages of one compilation with the seconds that each took.
class Stages {
public:
  void mark(llvm::StringRef stage) {
    Clock::time_point now = Clock::now();
    seconds[stage] = std::chrono::duration<double>(now - last).count();
    last = now;
  }
  const llvm::MapVector<llvm::StringRef, double> &get() const { return seconds; }

private:
  Clock::time_point last = Clock::now();
  llvm::MapVector<llvm::StringRef, double> seconds;
};

} // namespace

/// Compiles once; the last stage's name is the product's. The scales differ from
/// run to run, so that nothing could be remembered.
static Stages compile(const mlir::DialectRegistry &registry, const ChipInfo &chip, unsigned run) {
  LayerSpec layer;
  layer.kScale = "0.0" + std::to_string(230 + run);
  layer.vScale = "0.0" + std::to_string(310 + run);
  std::string text = layer.text();
  CompileSpec spec;
  spec.chip = &chip;

  Stages stages;
  std::unique_ptr<mlir::MLIRContext> context = makeContext(registry);
  stages.mark("context");
  auto module = parse(*context, text);
  stages.mark("parse");
  runUntilFolded(*module, spec);
  stages.mark("resolve, generate, fold");
  runLowering(*module, spec);
  stages.mark("lower");
  mlir::Operation *kernels = serializableIn(*module);
  switch (chip.backend) {
  case Backend::NVVM: {
    std::string ptx = take(toPTX(kernels, chip));
    stages.mark("ptx");
    if (assembles) {
      (void)take(assemblePTX(ptx, chip));
      stages.mark("cubin");
    }
    break;
  }
  case Backend::ROCDL:
    (void)take(toHSACO(kernels, chip));
    stages.mark("hsaco");
    break;
  case Backend::Host:
    (void)take(toSharedObject(kernels, chip));
    stages.mark("shared object");
    break;
  }
  return stages;
}

int main(int argc, char **argv) {
  Clock::time_point start = Clock::now();
  cl::ParseCommandLineOptions(argc, argv, "Times the compilation of a store and a load kernel\n");
  const ChipInfo *chip = take(lookUpChip(chipName));
  mlir::DialectRegistry registry;
  registerAll(registry);

  Stages first = compile(registry, *chip, 0);
  double firstTotal = secondsSince(start);

  llvm::MapVector<llvm::StringRef, std::vector<double>> seconds;
  for (unsigned run = 1; run <= runs; ++run) {
    double total = 0;
    Stages stages = compile(registry, *chip, run);
    for (auto &[stage, time] : stages.get()) {
      seconds[stage].push_back(time);
      total += time;
    }
    seconds["total"].push_back(total);
  }

  llvm::json::Object firstStages, warmStages;
  for (auto &[stage, time] : first.get())
    firstStages[stage] = time;
  firstStages["total"] = firstTotal;
  for (auto &[stage, times] : seconds)
    warmStages[stage] = summarize(times);
  llvm::outs() << llvm::json::Value(llvm::json::Object{{"chip", chip->name},
                                                       {"first", std::move(firstStages)},
                                                       {"warm", std::move(warmStages)}})
               << "\n";
  return 0;
}
