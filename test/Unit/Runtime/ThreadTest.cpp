//===- ThreadTest.cpp - Threads beside each other -------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// To be built with -fsanitize=thread as well.
//
//===----------------------------------------------------------------------===//

#include "Fixture.h"
#include <atomic>
#include <thread>

using namespace kvq;
using namespace kvq::runtime;
using namespace kvq::test;

using ThreadTest = RuntimeTest;

/// Runs `function` with 0, 1, … in as many threads.
template <typename Function> static void runThreads(int count, Function function) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i)
    threads.emplace_back(function, i);
  for (std::thread &thread : threads)
    thread.join();
}

TEST_F(ThreadTest, OpensResolvesAndLaunches) {
  StandIn &cuda = useCuda({cudaDevice(9, 0), cudaDevice(8, 0)});
  StandIn &hip = useHip({hipDevice("gfx942")});
  std::string directory = write(Sample({"sm_90", "sm_80", "gfx942", "host"}));
  constexpr int threads = 8, rounds = 10, launches = 20;
  runThreads(threads, [&](int thread) {
    OpenOptions options;
    options.device = thread % 2 ? KVQ_DEVICE_HIP : KVQ_DEVICE_CUDA;
    options.ordinal = thread % 2 ? 0 : thread / 2 % 2;
    for (int round = 0; round < rounds; ++round) {
      auto artefact = Artefact::open(directory, options);
      auto kernel = artefact.kernel("layer." + std::to_string(round % 2), "store");
      std::vector<kvq_value> values = storeValues(thread + 1);
      for (int i = 0; i < launches; ++i)
        kernel.launch(values.data(), values.size(), &values);
    }
  });
  EXPECT_EQ(cuda.launches.size(), size_t(threads / 2 * rounds * launches));
  EXPECT_EQ(hip.launches.size(), size_t(threads / 2 * rounds * launches));
  EXPECT_EQ(cuda.retained, 0);
  EXPECT_TRUE(cuda.modules.empty());
  EXPECT_TRUE(hip.modules.empty());
}

TEST_F(ThreadTest, ShareOneArtefact) {
  StandIn &cuda = useCuda({cudaDevice(9, 0)});
  auto artefact = Artefact::open(write(Sample({"sm_90"})));
  constexpr int threads = 8, launches = 200;
  std::array<const kvq_kernel *, threads> found;
  std::atomic<int> refused{0};
  runThreads(threads, [&](int thread) {
    auto kernel = artefact.kernel("layer.0", "store");
    found[thread] = kernel.get();
    std::vector<kvq_value> values = storeValues(thread + 1);
    for (int i = 0; i < launches; ++i) {
      kernel.launch(values.data(), values.size());
      kvq_error error;
      refused += kvq_kernel_launch(kernel.get(), values.data(), 3, nullptr, &error) != KVQ_OK;
    }
  });
  for (const kvq_kernel *kernel : found)
    EXPECT_EQ(kernel, found[0]);
  EXPECT_EQ(refused, threads * launches);
  ASSERT_EQ(cuda.launches.size(), size_t(threads * launches));
  std::map<uint64_t, int> byTokens;
  for (const StandInLaunch &launch : cuda.launches) {
    EXPECT_EQ(launch.grid[0], (launch.arguments[5] + 1) / 2);
    ++byTokens[launch.arguments[5]];
  }
  for (int thread = 0; thread < threads; ++thread)
    EXPECT_EQ(byTokens[thread + 1], launches);
}
