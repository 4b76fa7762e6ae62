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
// that what is left is the runtime's own time; or with --driver a real one, on
// slots that are all negative. Measurements are short: on a shared machine some of
// many are then undisturbed.
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

static cl::opt<std::string> driverPath("driver", cl::desc("libcuda, where there is a GPU"),
                                       cl::init(KVQ_STAND_IN_CUDA));

using LaunchKernel = int(void *function, unsigned gridX, unsigned gridY, unsigned gridZ,
                         unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,
                         void *stream, void **params, void **extra);

/// Seconds of one call of `launch`, which takes how often it was called; `wait` empties the
/// driver's queue before each measurement.
template <typename Function, typename Wait>
static llvm::json::Object measure(Function launch, Wait wait) {
  std::vector<double> seconds;
  for (unsigned repeat = 0; repeat <= repeats; ++repeat) {
    wait();
    Clock::time_point start = Clock::now();
    for (unsigned i = 0; i < launches; ++i)
      launch(i);
    // The first is not counted.
    if (repeat)
      seconds.push_back(secondsSince(start) / launches);
  }
  return summarize(std::move(seconds));
}

/// Memory of the device in which every byte is 0xff, and every slot thus negative.
static const void *allocate(void *driver, size_t size) {
  uint64_t address = 0;
  auto *allocateMemory =
      reinterpret_cast<int (*)(uint64_t *, size_t)>(dlsym(driver, "cuMemAlloc_v2"));
  auto *fill =
      reinterpret_cast<int (*)(uint64_t, unsigned char, size_t)>(dlsym(driver, "cuMemsetD8_v2"));
  if (!allocateMemory || !fill || allocateMemory(&address, size) || fill(address, 0xff, size))
    throw std::runtime_error("the driver gives no memory");
  return reinterpret_cast<const void *>(address);
}

/// Makes the primary context of device 0 current, as an engine's is.
static void makeCurrent(void *driver) {
  auto *init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  auto *retain = reinterpret_cast<int (*)(void **, int)>(dlsym(driver, "cuDevicePrimaryCtxRetain"));
  auto *set = reinterpret_cast<int (*)(void *)>(dlsym(driver, "cuCtxSetCurrent"));
  void *context = nullptr;
  if (!init || !retain || !set || init(0) || retain(&context, 0) || set(context))
    throw std::runtime_error("the driver has no device");
}

static void run() {
  void *driver = dlopen(driverPath.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!driver)
    throw std::runtime_error(dlerror());
  setenv("KVQ_CUDA_LIBRARY", driverPath.c_str(), 1);
  auto *bare = reinterpret_cast<LaunchKernel *>(dlsym(driver, "cuLaunchKernel"));
  auto *setQuiet =
      reinterpret_cast<decltype(kvq_stand_in_set_quiet) *>(dlsym(driver, "kvq_stand_in_set_quiet"));
  auto *synchronize = reinterpret_cast<int (*)()>(dlsym(driver, "cuCtxSynchronize"));
  if (setQuiet)
    setQuiet(1);
  else
    makeCurrent(driver);

  runtime::OpenOptions options;
  options.device = KVQ_DEVICE_CUDA;
  options.allowPtx = true;
  auto artefact = runtime::Artefact::open(directory, options);
  runtime::Call call(artefact.kernel(artefact.layer(0).name, "store"));
  auto wait = [&] {
    if (!setQuiet && synchronize())
      throw std::runtime_error("the kernels failed");
  };
  std::vector<kvq_value> values;
  for (const kvq_argument_info &argument : call.getKernel().arguments()) {
    kvq_value value;
    // An address and a number that suit every kernel.
    value.i64 = argument.type == KVQ_TYPE_PTR ? 0x10000 * int64_t(values.size() + 1) : 1024;
    if (!setQuiet && argument.type == KVQ_TYPE_PTR)
      value.ptr = allocate(driver, 0x10000);
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
  results["driver"] = measure(
      [&](unsigned i) {
        values[tokens].i64 = 1 + (i & 7);
        failed |=
            bare(plan.function, plan.grid[0], plan.grid[1], plan.grid[2], plan.block[0],
                 plan.block[1], plan.block[2], plan.shared_bytes, nullptr, params.data(), nullptr);
      },
      wait);
  results["c"] = measure(
      [&](unsigned i) {
        values[tokens].i64 = 1 + (i & 7);
        failed |= kvq_kernel_launch(kernel, values.data(), values.size(), nullptr, nullptr);
      },
      wait);
  results["cpp"] = measure([&](unsigned i) { call.set(tokens, 1 + (i & 7)).launch(); }, wait);
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
