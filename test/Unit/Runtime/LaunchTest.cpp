//===- LaunchTest.cpp - What the driver is asked for ----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fixture.h"
#include <algorithm>
#include <climits>

using namespace kvq;
using namespace kvq::runtime;
using namespace kvq::test;

namespace {

/// A stand-in of each vendor.
class LaunchTest : public RuntimeTest {
protected:
  StandIn &useDevice(const std::string &target) {
    return target == "sm_90" ? useCuda({cudaDevice(9, 0)}) : useHip({hipDevice("gfx942")});
  }

  /// The error of a launch; fails the test where there is none.
  static Error launchError(const Kernel &kernel, const std::vector<kvq_value> &values) {
    try {
      kernel.launch(values.data(), values.size());
    } catch (const Error &error) {
      return error;
    }
    ADD_FAILURE() << "expected the launch to be refused";
    return Error(kvq_error{});
  }

  static void launch(const Kernel &kernel, const std::vector<kvq_value> &values) {
    kernel.launch(values.data(), values.size());
  }
};

/// A sample whose store has the grid that a test wants.
Sample withGrid(const std::string &target, std::array<LaunchSize, 3> grid) {
  Sample sample({target});
  sample.manifest.kernels[0].grid = std::move(grid);
  return sample;
}

} // namespace

TEST_F(LaunchTest, GivesTheDriverEveryParameter) {
  for (const std::string target : {"sm_90", "gfx942"}) {
    StandIn &driver = useDevice(target);
    auto kernel = Artefact::open(write(Sample({target}), target)).kernel("layer.0", "store");
    std::vector<kvq_value> values = storeValues(7);
    void *stream = &driver;
    kernel.launch(values.data(), values.size(), stream);
    // The array belongs to the caller again.
    values.assign(values.size(), kvq_value{nullptr});

    ASSERT_EQ(driver.launches.size(), 1u);
    const StandInLaunch &launch = driver.launches[0];
    EXPECT_EQ(launch.symbol, "store_16");
    EXPECT_EQ(launch.image, target == "sm_90" ? "cubin of sm_90" : "hsaco of gfx942");
    EXPECT_EQ(launch.grid, (std::array<unsigned, 3>{4, 1, 1}));
    EXPECT_EQ(launch.block, (std::array<unsigned, 3>{128, 1, 1}));
    EXPECT_EQ(launch.sharedBytes, 48u);
    EXPECT_EQ(launch.stream, stream);
    EXPECT_EQ(launch.arguments,
              (std::vector<uint64_t>{0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 7, 100, 1024, 2048,
                                     16384, 1024, 128, 32768, 1024, 128}));
  }
}

TEST_F(LaunchTest, CallsTheLaunchAndNothingElse) {
  for (const std::string target : {"sm_90", "gfx942"}) {
    StandIn &driver = useDevice(target);
    auto kernel = Artefact::open(write(Sample({target}), target)).kernel("layer.0", "store");
    driver.calls.clear();
    for (int i = 0; i < 3; ++i)
      launch(kernel, storeValues());
    EXPECT_EQ(driver.calls, std::vector<std::string>(
                                3, target == "sm_90" ? "cuLaunchKernel" : "hipModuleLaunchKernel"));
  }
}

TEST_F(LaunchTest, LoadsEveryFunctionWhenItOpens) {
  StandIn &cuda = useCuda({cudaDevice(9, 0)});
  Sample sample({"sm_90"});
  sample.add(storeKernel("sm_90", "store_2", 2));
  auto artefact = Artefact::open(write(sample));
  EXPECT_EQ(std::count(cuda.calls.begin(), cuda.calls.end(), "cuFuncLoad"), 2);
  EXPECT_EQ(std::count(cuda.calls.begin(), cuda.calls.end(), "cuFuncGetAttribute"), 0);
  cuda.calls.clear();
  artefact.kernel("layer.1", "store");
  EXPECT_TRUE(cuda.calls.empty());
  // A driver without cuFuncLoad.
  StandIn &old = useCuda({cudaDevice(9, 0)}, KVQ_STAND_IN_CUDA_OLD);
  Artefact::open(write(sample));
  EXPECT_EQ(std::count(old.calls.begin(), old.calls.end(), "cuFuncGetAttribute"), 2);
}

TEST_F(LaunchTest, DoesNothingWithoutWork) {
  StandIn &cuda = useCuda({cudaDevice(9, 0)});
  auto kernel = Artefact::open(write(Sample({"sm_90"}))).kernel("layer.0", "store");
  for (int64_t tokens : {int64_t(0), int64_t(-1), INT64_MIN}) {
    launch(kernel, storeValues(tokens));
    // Engines pass what they have, and of nothing there is no address.
    std::vector<kvq_value> values(storeValues().size(), kvq_value{nullptr});
    values[5].i64 = tokens;
    launch(kernel, values);
    EXPECT_EQ(kernel.plan(values.data(), values.size()).symbol, nullptr);
  }
  EXPECT_TRUE(cuda.launches.empty());
}

TEST_F(LaunchTest, HasNoWorkWithoutTokensWhateverTheGrid) {
  StandIn &cuda = useCuda({cudaDevice(9, 0)});
  LaunchSize atLeastOne = LaunchSize::of("num_tokens");
  LaunchSize grid;
  grid.kind = LaunchSize::Kind::Max;
  grid.operands = {LaunchSize::of(1), atLeastOne};
  auto kernel = Artefact::open(write(withGrid("sm_90", {grid, LaunchSize(), LaunchSize()})))
                    .kernel("layer.0", "store");
  launch(kernel, storeValues(0));
  EXPECT_TRUE(cuda.launches.empty());
  launch(kernel, storeValues(3));
  EXPECT_EQ(cuda.launches.at(0).grid[0], 3u);
}

TEST_F(LaunchTest, ComputesEveryKindOfSize) {
  StandIn &cuda = useCuda({cudaDevice(9, 0)});
  auto join = [](LaunchSize::Kind kind, LaunchSize a, LaunchSize b) {
    LaunchSize size;
    size.kind = kind;
    size.operands = {std::move(a), std::move(b)};
    return size;
  };
  using Kind = LaunchSize::Kind;
  LaunchSize tokens = LaunchSize::of("num_tokens"), blocks = LaunchSize::of("num_blocks");
  // 7 tokens, 100 blocks: ceil(7 * 3 / 4) = 6; min(100, 7) = 7; max(7, 100 - by 30) = 7.
  auto kernel =
      Artefact::open(
          write(withGrid(
              "sm_90",
              {LaunchSize::ceilDiv(LaunchSize::mul(tokens, LaunchSize::of(3)), LaunchSize::of(4)),
               join(Kind::Min, blocks, tokens),
               join(Kind::Max, tokens, LaunchSize::ceilDiv(blocks, LaunchSize::of(30)))})))
          .kernel("layer.0", "store");
  launch(kernel, storeValues(7));
  EXPECT_EQ(cuda.launches.at(0).grid, (std::array<unsigned, 3>{6, 7, 7}));
}

TEST_F(LaunchTest, RefusesGridsThatNoDeviceTakes) {
  StandIn &cuda = useCuda({cudaDevice(9, 0)});
  LaunchSize one = LaunchSize::of(1), tokens = LaunchSize::of("num_tokens");
  auto kernelOf = [&](std::array<LaunchSize, 3> grid, const std::string &name) {
    return Artefact::open(write(withGrid("sm_90", std::move(grid)), name))
        .kernel("layer.0", "store");
  };
  Kernel alongX = kernelOf({tokens, one, one}, "x"), alongY = kernelOf({one, tokens, one}, "y"),
         alongZ = kernelOf({one, one, tokens}, "z"),
         product = kernelOf({LaunchSize::mul(tokens, tokens), one, one}, "product");
  launch(alongX, storeValues(INT32_MAX));
  launch(alongY, storeValues(65535));
  launch(alongZ, storeValues(65535));
  EXPECT_EQ(cuda.launches.size(), 3u);
  EXPECT_EQ(cuda.launches[0].grid[0], unsigned(INT32_MAX));
  for (const auto &[kernel, count] :
       {std::pair(alongX, int64_t(INT32_MAX) + 1), std::pair(alongY, int64_t(65536)),
        std::pair(alongZ, int64_t(65536)), std::pair(alongX, int64_t(1) << 32),
        std::pair(product, int64_t(1) << 32)}) {
    Error error = launchError(kernel, storeValues(count));
    EXPECT_EQ(error.status(), KVQ_ERROR_UNFIT);
    expectPart(error.what(), "layer 'layer.0', op 'store': expected a grid of at most 2147483647 x "
                             "65535 x 65535 blocks, but got more (num_tokens = " +
                                 std::to_string(count));
  }
  EXPECT_EQ(cuda.launches.size(), 3u);
}

TEST_F(LaunchTest, HipCountsThreadsIn32Bits) {
  StandIn &hip = useHip({hipDevice("gfx942")});
  auto kernel = Artefact::open(write(Sample({"gfx942"}))).kernel("layer.0", "store");
  // Two tokens a block of 128 threads.
  const int64_t most = UINT32_MAX / 128 * 2;
  launch(kernel, storeValues(most));
  EXPECT_EQ(launchError(kernel, storeValues(most + 2)).status(), KVQ_ERROR_UNFIT);
  EXPECT_EQ(hip.launches.size(), 1u);
}

TEST_F(LaunchTest, RefusesADivisorThatIsNotPositive) {
  useCuda({cudaDevice(9, 0)});
  auto kernel =
      Artefact::open(write(withGrid("sm_90", {LaunchSize::ceilDiv(LaunchSize::of("num_tokens"),
                                                                  LaunchSize::of("num_blocks")),
                                              LaunchSize(), LaunchSize()})))
          .kernel("layer.0", "store");
  std::vector<kvq_value> values = storeValues();
  launch(kernel, values);
  values[6].i64 = 0;
  EXPECT_EQ(launchError(kernel, values).status(), KVQ_ERROR_UNFIT);
}

TEST_F(LaunchTest, RefusesWhatTheKernelWasNotMadeFor) {
  StandIn &cuda = useCuda({cudaDevice(9, 0)});
  auto kernel = Artefact::open(write(Sample({"sm_90"}))).kernel("layer.1", "store");
  struct Case {
    size_t index;
    int64_t value;
    std::string text;
  };
  for (const Case &wrong : {
           Case{0, 0x1008, "expected 'key' aligned to 16 bytes, but got 0x1008"},
           Case{3, 0x4004, "expected 'value_cache' aligned to 8 bytes, but got 0x4004"},
           Case{4, 0x5004, "expected 'slot_mapping' aligned to 8 bytes, but got 0x5004"},
           Case{1, 0, "expected a pointer for 'value', but got null"},
           Case{7, 1028, "expected a multiple of 8 for 'key_stride', but got 1028"},
           Case{14, -1, "expected a multiple of 8 for 'value_head_stride', but got -1"},
       }) {
    std::vector<kvq_value> values = storeValues();
    values[wrong.index].i64 = wrong.value;
    Error error = launchError(kernel, values);
    EXPECT_EQ(error.status(), KVQ_ERROR_UNFIT);
    EXPECT_EQ(error.what(), "layer 'layer.1', op 'store': " + wrong.text);
  }
  std::vector<kvq_value> negative = storeValues();
  negative[9].i64 = -16;
  launch(kernel, negative);
  EXPECT_EQ(cuda.launches.size(), 1u);
}

TEST_F(LaunchTest, TakesDivisorsThatAreNoPowersOfTwo) {
  useCuda({cudaDevice(9, 0)});
  Sample sample({"sm_90"});
  sample.manifest.kernels[0].args[7].divisible = 24;
  auto kernel = Artefact::open(write(sample)).kernel("layer.0", "store");
  std::vector<kvq_value> values = storeValues();
  values[7].i64 = 48;
  launch(kernel, values);
  values[7].i64 = 40;
  expectPart(launchError(kernel, values).what(), "expected a multiple of 24 for 'key_stride'");
}

TEST_F(LaunchTest, OnlySeqStartsMayBeNull) {
  StandIn &cuda = useCuda({cudaDevice(9, 0)});
  Sample sample({"sm_90"});
  ManifestKernel &kernel = sample.manifest.kernels[0];
  kernel.args.resize(6);
  kernel.args[3].name = "seq_starts";
  kernel.args[3].align = 4;
  cuda.numArguments.clear();
  auto gather = Artefact::open(write(sample)).kernel("layer.0", "store");
  EXPECT_TRUE(gather.argument(3).nullable);
  EXPECT_FALSE(gather.argument(2).nullable);
  std::vector<kvq_value> values = storeValues();
  values.resize(6);
  values[3].ptr = nullptr;
  launch(gather, values);
  EXPECT_EQ(cuda.launches.size(), 1u);
}

TEST_F(LaunchTest, HoldsNarrowArgumentsToTheirRange) {
  StandIn &cuda = useCuda({cudaDevice(9, 0)});
  Sample sample({"sm_90"});
  sample.manifest.kernels[0].args[6].type = "i32";
  auto kernel = Artefact::open(write(sample)).kernel("layer.0", "store");
  EXPECT_EQ(kernel.argument(6).type, KVQ_TYPE_I32);
  std::vector<kvq_value> values = storeValues();
  for (int64_t number : {int64_t(INT32_MIN), int64_t(INT32_MAX)}) {
    values[6].i64 = number;
    launch(kernel, values);
    EXPECT_EQ(int32_t(cuda.launches.back().arguments[6]), number);
  }
  values[6].i64 = int64_t(INT32_MAX) + 1;
  expectPart(launchError(kernel, values).what(),
             "expected 32 bits for 'num_blocks', but got 2147483648");
}

TEST_F(LaunchTest, WantsAllValues) {
  useCuda({cudaDevice(9, 0)});
  auto kernel = Artefact::open(write(Sample({"sm_90"}))).kernel("layer.0", "store");
  std::vector<kvq_value> values = storeValues();
  values.pop_back();
  Error error = launchError(kernel, values);
  EXPECT_EQ(error.status(), KVQ_ERROR_ARGUMENT);
  expectPart(error.what(), "expected 15 values, but got 14");
  kvq_error raw;
  EXPECT_EQ(kvq_kernel_launch(kernel.get(), nullptr, 15, nullptr, &raw), KVQ_ERROR_ARGUMENT);
  EXPECT_EQ(kvq_kernel_launch(nullptr, values.data(), 15, nullptr, &raw), KVQ_ERROR_ARGUMENT);
  EXPECT_STREQ(raw.message, "expected 'kernel', but got null");
}

TEST_F(LaunchTest, PlansWithoutLaunching) {
  StandIn &cuda = useCuda({cudaDevice(9, 0)});
  auto kernel = Artefact::open(write(Sample({"sm_90"}))).kernel("layer.0", "store");
  std::vector<kvq_value> values = storeValues(9);
  kvq_plan plan = kernel.plan(values.data(), values.size());
  EXPECT_STREQ(plan.symbol, "store_16");
  EXPECT_EQ(static_cast<StandInFunction *>(plan.function)->symbol, "store_16");
  EXPECT_EQ(plan.grid[0], 5u);
  EXPECT_EQ(plan.grid[2], 1u);
  EXPECT_EQ(plan.block[0], 128u);
  EXPECT_EQ(plan.shared_bytes, 48u);
  EXPECT_TRUE(cuda.launches.empty());
}
