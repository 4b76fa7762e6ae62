//===- kvq-bench-launch.cpp - Times the runtime's launches ----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What kvq's runtime adds to the driver's launch: a store of an artefact for
// sm_90, launched by the C interface and by the C++ wrapper, beside the bare call
// of cuLaunchKernel. The driver is the tests' stand-in, which returns at once, so
// that what is left is the runtime's own time. Measurements are short: on a shared
// machine some of many are then undisturbed.
//
//===----------------------------------------------------------------------===//

#include "StandIn.h"
#include "Statistics.h"
#include "kvq/Runtime/Runtime.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>
#include <dlfcn.h>

using namespace kvq;
using namespace kvq::bench;
namespace cl = llvm::cl;

static cl::opt<std::string> directory(cl::Positional, cl::desc("DIR"), cl::Required);
static cl::opt<unsigned> repeats("repeats", cl::desc("How often each measurement is taken"),
                                 cl::init(1000));
static cl::opt<unsigned> launches("launches", cl::desc("Launches of one measurement"),
                                  cl::init(2000));

using LaunchKernel = int(void *function, unsigned gridX, unsigned gridY, unsigned gridZ,
                         unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,
                         void *stream, void **params, void **extra);

/// Seconds of one call of `launch`, which takes how often it was called.
template <typename Function> static llvm::json::Object measure(Function launch) {
  std::vector<double> seconds;
  for (unsigned repeat = 0; repeat <= repeats; ++repeat) {
    Clock::time_point start = Clock::now();
    for (unsigned i = 0; i < launches; ++i)
      launch(i);
    // The first is not counted.
    if (repeat)
      seconds.push_back(secondsSince(start) / launches);
  }
  return summarize(std::move(seconds));
}

static void run() {
  void *driver = dlopen(KVQ_STAND_IN_CUDA, RTLD_NOW | RTLD_LOCAL);
  setenv("KVQ_CUDA_LIBRARY", KVQ_STAND_IN_CUDA, 1);
  auto *bare = reinterpret_cast<LaunchKernel *>(dlsym(driver, "cuLaunchKernel"));
  auto *setQuiet =
      reinterpret_cast<decltype(kvq_stand_in_set_quiet) *>(dlsym(driver, "kvq_stand_in_set_quiet"));
  setQuiet(1);

  runtime::OpenOptions options;
  options.device = KVQ_DEVICE_CUDA;
  options.allowPtx = true;
  auto artefact = runtime::Artefact::open(directory, options);
  runtime::Call call(artefact.kernel(artefact.layer(0).name, "store"));
  std::vector<kvq_value> values;
  for (const kvq_argument_info &argument : call.getKernel().arguments()) {
    kvq_value value;
    // An address and a number that suit every kernel.
    value.i64 = argument.type == KVQ_TYPE_PTR ? 0x10000 * int64_t(values.size() + 1) : 1024;
    if (argument.type == KVQ_TYPE_PTR)
      call.set(values.size(), value.ptr);
    else
      call.set(values.size(), value.i64);
    values.push_back(value);
  }
  const size_t tokens = call.getKernel().index("num_tokens");
  kvq_plan plan = call.plan();
  std::vector<void *> params;
  for (kvq_value &value : values)
    params.push_back(&value);
  const kvq_kernel *kernel = call.getKernel().get();
  int failed = 0;

  llvm::json::Object results;
  // Each launch is of another number of tokens, as an engine's are.
  results["driver"] = measure([&](unsigned i) {
    values[tokens].i64 = 1 + (i & 7);
    failed |=
        bare(plan.function, plan.grid[0], plan.grid[1], plan.grid[2], plan.block[0], plan.block[1],
             plan.block[2], plan.shared_bytes, nullptr, params.data(), nullptr);
  });
  results["c"] = measure([&](unsigned i) {
    values[tokens].i64 = 1 + (i & 7);
    failed |= kvq_kernel_launch(kernel, values.data(), values.size(), nullptr, nullptr);
  });
  results["cpp"] = measure([&](unsigned i) { call.set(tokens, 1 + (i & 7)).launch(); });
  results["arguments"] = int64_t(values.size());
  if (failed)
    throw std::runtime_error("a launch failed");
  llvm::outs() << llvm::formatv("{0:2}", llvm::json::Value(std::move(results))) << "\n";
}

int main(int argc, char **argv) {
  cl::ParseCommandLineOptions(argc, argv, "Times the runtime's launches\n");
  try {
    run();
  } catch (const std::exception &error) {
    llvm::errs() << "error: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
