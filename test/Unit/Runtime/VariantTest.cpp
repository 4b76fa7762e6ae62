//===- VariantTest.cpp - Several kernels that do the same -----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fixture.h"

using namespace kvq;
using namespace kvq::runtime;
using namespace kvq::test;

namespace {

class VariantTest : public RuntimeTest {
protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    cuda = &useCuda({cudaDevice(9, 0)});
  }

  /// Launches with `key` at an address; the kernel that was taken.
  std::string launchAt(const Kernel &kernel, int64_t address) {
    std::vector<kvq_value> values = storeValues();
    values[0].i64 = address;
    kernel.launch(values.data(), values.size());
    return cuda->launches.back().symbol;
  }

  static std::string findError(const Artefact &artefact, const Geometry &geometry) {
    try {
      artefact.kernel("layer.0", "store", geometry);
    } catch (const Error &error) {
      EXPECT_EQ(error.status(), KVQ_ERROR_UNFIT);
      return error.what();
    }
    return "found";
  }

  StandIn *cuda;
};

} // namespace

TEST_F(VariantTest, TakesTheMostDemandingThatFits) {
  Sample sample({"sm_90"});
  sample.add(storeKernel("sm_90", "store_2", 2));
  sample.add(storeKernel("sm_90", "store_4", 4));
  auto kernel = Artefact::open(write(sample)).kernel("layer.0", "store");
  EXPECT_EQ(kernel.info().num_variants, 3u);
  EXPECT_STREQ(kernel.info().symbol, "store_16");
  EXPECT_EQ(launchAt(kernel, 0x1000), "store_16");
  EXPECT_EQ(launchAt(kernel, 0x1008), "store_4");
  EXPECT_EQ(launchAt(kernel, 0x1002), "store_2");
  EXPECT_EQ(launchAt(kernel, 0x1010), "store_16");
  // What the least demanding takes, and says.
  EXPECT_EQ(kernel.argument(0).align, 2);
  EXPECT_EQ(kernel.argument(7).divisible, 1);
  try {
    launchAt(kernel, 0x1001);
    ADD_FAILURE() << "expected a refusal";
  } catch (const Error &error) {
    expectPart(error.what(), "expected 'key' aligned to 2 bytes, but got 0x1001");
  }
}

TEST_F(VariantTest, TakesTheStridesIntoAccount) {
  Sample sample({"sm_90"});
  sample.add(storeKernel("sm_90", "store_2", 2));
  auto kernel = Artefact::open(write(sample)).kernel("layer.0", "store");
  std::vector<kvq_value> values = storeValues();
  values[10].i64 = 1025;
  kernel.launch(values.data(), values.size());
  EXPECT_EQ(cuda->launches.back().symbol, "store_2");
}

TEST_F(VariantTest, TakesNoKernelThatDoesSomethingElse) {
  Sample sample({"sm_90"});
  auto add = [&](const char *symbol, auto change) {
    ManifestKernel kernel = storeKernel("sm_90", symbol, 2);
    change(kernel);
    sample.add(kernel);
  };
  add("other_scale", [](ManifestKernel &kernel) { kernel.scales[0].second.value = 0.75f; });
  add("dynamic_scale", [](ManifestKernel &kernel) {
    kernel.scales[0].second = {std::nullopt, "argument", std::nullopt};
  });
  add("head_scales", [](ManifestKernel &kernel) {
    kernel.scales[0].second = {std::nullopt, "multiply", 256, std::vector<float>(8, 0.5f)};
  });
  add("no_scale", [](ManifestKernel &kernel) { kernel.scales.clear(); });
  add("other_op", [](ManifestKernel &kernel) { kernel.op = "load"; });
  add("other_source", [](ManifestKernel &kernel) { kernel.sourceType = "f16"; });
  add("other_cache", [](ManifestKernel &kernel) { kernel.cacheType = "f8E5M2"; });
  add("other_heads", [](ManifestKernel &kernel) { kernel.numKVHeads = 4; });
  add("other_size", [](ManifestKernel &kernel) { kernel.headSize = 64; });
  // Slots of 4 bytes are other numbers at the same address.
  add("narrow_slots", [](ManifestKernel &kernel) { kernel.args[4].align = 4; });
  add("fewer_arguments", [](ManifestKernel &kernel) { kernel.args.pop_back(); });
  add("other_names", [](ManifestKernel &kernel) { kernel.args[14].name = "x_stride"; });
  add("other_block", [](ManifestKernel &kernel) { kernel.blockSize = 32; });
  add("other_layout", [](ManifestKernel &kernel) { kernel.layout = "hnd"; });
  auto kernel = Artefact::open(write(sample)).kernel("layer.0", "store");
  EXPECT_EQ(kernel.info().num_variants, 1u);
}

namespace {

/// 'dynamic' does what 'store_16' does, with its scales as two more arguments.
ManifestKernel dynamicKernel(const std::string &symbol, int64_t align = 16) {
  ManifestKernel kernel = storeKernel("sm_90", symbol, align);
  for (auto &[name, scale] : kernel.scales) {
    scale = {std::nullopt, "argument", std::nullopt};
    kernel.args.push_back({name + "_scale", "ptr", 4, std::nullopt});
  }
  return kernel;
}

/// Layer 0 names the variants, layer 1 does not.
Sample bothSample() {
  Sample sample({"sm_90"});
  sample.add(storeKernel("sm_90", "store_2", 2));
  sample.add(dynamicKernel("dynamic"));
  sample.add(dynamicKernel("dynamic_2", 2));
  sample.manifest.layers[0].targets[0].variants = {{"store", "align2", "store_2"},
                                                   {"store", "dynamic", "dynamic"},
                                                   {"store", "align2_dynamic", "dynamic_2"}};
  return sample;
}

std::vector<kvq_value> valuesWithScales(const void *k, const void *v) {
  std::vector<kvq_value> values = storeValues();
  values.push_back({k});
  values.push_back({v});
  return values;
}

} // namespace

TEST_F(VariantTest, ScalesThatArePassedChooseTheKernelsThatReadThem) {
  const size_t numFolded = storeValues().size();
  for (const char *symbol : {"dynamic", "dynamic_2"})
    cuda->numArguments[symbol] = numFolded + 2;
  auto kernel = Artefact::open(write(bothSample())).kernel("layer.0", "store");
  EXPECT_EQ(kernel.info().num_variants, 4u);
  EXPECT_EQ(kernel.info().num_arguments, numFolded + 2);
  EXPECT_STREQ(kernel.info().symbol, "store_16");
  // An engine compares these with its own.
  ASSERT_EQ(kernel.scales().size(), 2u);
  EXPECT_EQ(kernel.scales()[0].values[0], 0.5f);
  EXPECT_TRUE(kernel.argument(numFolded).nullable);
  EXPECT_FALSE(kernel.argument(0).nullable);
  EXPECT_EQ(kernel.argument(0).align, 2);
  EXPECT_EQ(kernel.index("v_scale"), numFolded + 1);

  const float k = 0.5f, v = 0.25f;
  auto launch = [&](std::vector<kvq_value> values) {
    kernel.launch(values.data(), values.size());
    kvq_plan plan = kernel.plan(values.data(), values.size());
    EXPECT_EQ(plan.symbol, cuda->launches.back().symbol);
    EXPECT_EQ(plan.num_arguments, cuda->numArguments[plan.symbol]);
    return cuda->launches.back().symbol;
  };
  EXPECT_EQ(launch(storeValues()), "store_16");
  EXPECT_EQ(launch(valuesWithScales(nullptr, nullptr)), "store_16");
  EXPECT_EQ(launch(valuesWithScales(&k, &v)), "dynamic");
  EXPECT_EQ(cuda->launches.back().arguments.back(), reinterpret_cast<uint64_t>(&v));
  std::vector<kvq_value> narrow = valuesWithScales(&k, &v);
  narrow[0].i64 += 2;
  EXPECT_EQ(launch(narrow), "dynamic_2");
  narrow.resize(numFolded);
  EXPECT_EQ(launch(narrow), "store_2");
}

TEST_F(VariantTest, ScalesArePassedAllOrNone) {
  auto kernel = Artefact::open(write(bothSample())).kernel("layer.0", "store");
  auto errorOf = [&](const std::vector<kvq_value> &values) -> std::string {
    try {
      kernel.launch(values.data(), values.size());
    } catch (const Error &error) {
      return error.what();
    }
    return "launched";
  };
  const float scale = 0.5f;
  expectPart(errorOf(valuesWithScales(&scale, nullptr)),
             "expected a pointer for 'v_scale', but got null");
  expectPart(errorOf(valuesWithScales(nullptr, &scale)),
             "expected a pointer for 'k_scale', but got null");
  expectPart(errorOf(valuesWithScales(&scale, reinterpret_cast<const char *>(&scale) + 1)),
             "expected 'v_scale' aligned to 4 bytes");
  std::vector<kvq_value> values = valuesWithScales(&scale, &scale);
  values.pop_back();
  expectPart(errorOf(values), "expected 17 values, or the first 15, but got 16");
  EXPECT_TRUE(cuda->launches.empty());
}

TEST_F(VariantTest, TakesScalesOnlyWhereTheLayerNamesTheKernel) {
  auto artefact = Artefact::open(write(bothSample()));
  EXPECT_EQ(artefact.kernel("layer.1", "store").info().num_variants, 2u);
  EXPECT_EQ(artefact.kernel("layer.1", "store").info().num_arguments, storeValues().size());
  // What a layer names is held to doing the same, all the same.
  auto expectNone = [&](const char *directory, auto change) {
    Sample sample = bothSample();
    for (ManifestKernel &kernel : sample.manifest.kernels)
      if (kernel.symbol != "store_16")
        change(kernel);
    auto kernel = Artefact::open(write(sample, directory)).kernel("layer.0", "store");
    EXPECT_EQ(kernel.info().num_variants, 1u) << directory;
  };
  expectNone("bounds", [](ManifestKernel &kernel) { kernel.bounds = "off"; });
  expectNone("padding", [](ManifestKernel &kernel) { kernel.paddingSlot = 5; });
  expectNone("queries", [](ManifestKernel &kernel) { kernel.numHeads = 5; });
  expectNone("size", [](ManifestKernel &kernel) { kernel.headSize = 64; });
  expectNone("scalar", [](ManifestKernel &kernel) {
    kernel.args.back().type = "i64";
    kernel.args.back().align.reset();
    kernel.args[7].name = "x_stride";
  });
}

TEST_F(VariantTest, GeometryChoosesLayoutAndBlockSize) {
  Sample sample({"sm_90"});
  ManifestKernel wide = storeKernel("sm_90", "store_4");
  wide.blockSize = 32;
  sample.add(wide);
  ManifestKernel other = storeKernel("sm_90", "store_2");
  other.layout = "hnd";
  sample.add(other);
  auto artefact = Artefact::open(write(sample));
  auto symbolOf = [&](const Geometry &geometry) {
    return std::string(artefact.kernel("layer.0", "store", geometry).info().symbol);
  };
  EXPECT_EQ(symbolOf({}), "store_16");
  EXPECT_EQ(symbolOf({"nhd", "bf16", "f8E4M3FN", 8, 128, 16}), "store_16");
  EXPECT_EQ(symbolOf({"", "", "", 0, 0, 32}), "store_4");
  EXPECT_EQ(symbolOf({"hnd", "", "", 0, 0, 0}), "store_2");
  EXPECT_EQ(artefact.kernel("layer.0", "store", {"hnd", "", "", 0, 0, 0}).info().block_size, 16);

  const std::string prefix = "layer 'layer.0', op 'store': ";
  EXPECT_EQ(findError(artefact, {"", "", "", 4, 0, 0}),
            prefix + "expected num_kv_heads 8, but got 4");
  EXPECT_EQ(findError(artefact, {"", "", "", 0, 64, 0}),
            prefix + "expected head_size 128, but got 64");
  EXPECT_EQ(findError(artefact, {"", "f16", "", 0, 0, 0}),
            prefix + "expected source_type 'bf16', but got 'f16'");
  EXPECT_EQ(findError(artefact, {"", "", "f8E4M3FNUZ", 0, 0, 0}),
            prefix + "expected cache_type 'f8E4M3FN', but got 'f8E4M3FNUZ'");
  expectPart(findError(artefact, {"", "", "", 0, 0, 64}), "but got 'nhd' with block_size 64");
  expectPart(findError(artefact, {"hnd", "", "", 0, 0, 32}),
             "expected layout 'nhd' with block_size 16 or 'hnd' with block_size 16 or 'nhd' with "
             "block_size 32, but got 'hnd' with block_size 32");
}

TEST_F(VariantTest, TheSameQuestionGivesTheSameKernel) {
  auto artefact = Artefact::open(write(Sample({"sm_90"})));
  EXPECT_EQ(artefact.kernel("layer.0", "store").get(), artefact.kernel("layer.0", "store").get());
  EXPECT_NE(artefact.kernel("layer.0", "store").get(), artefact.kernel("layer.1", "store").get());
  EXPECT_NE(artefact.kernel("layer.0", "store").get(),
            artefact.kernel("layer.0", "store", {"nhd", "", "", 0, 0, 0}).get());
}
