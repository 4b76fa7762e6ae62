//===- WrapperTest.cpp - The C++ wrapper ----------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fixture.h"
#include <algorithm>

using namespace kvq;
using namespace kvq::runtime;
using namespace kvq::test;

using WrapperTest = RuntimeTest;

TEST_F(WrapperTest, TellsVersions) {
  EXPECT_EQ(kvq_runtime_abi_version(), uint32_t(KVQ_RUNTIME_ABI_VERSION));
  EXPECT_STRNE(kvq_runtime_version(), "");
}

TEST_F(WrapperTest, DescribesLayers) {
  Sample sample({"host"});
  sample.manifest.layers[1].index = 5;
  sample.manifest.layers[1].targets[0].calculateKVScales = true;
  auto artefact = Artefact::open(write(sample));
  EXPECT_EQ(artefact.numLayers(), 2u);
  kvq_layer_info layer = artefact.layer("layer.1");
  EXPECT_STREQ(layer.name, "layer.1");
  EXPECT_EQ(layer.index, 5);
  EXPECT_EQ(layer.scales[1], 0.5f);
  EXPECT_EQ(layer.scales[2], 0.25f);
  EXPECT_TRUE(layer.calculate_kv_scales);
  ASSERT_EQ(layer.num_ops, 1u);
  EXPECT_STREQ(layer.ops[0], "store");
  EXPECT_FALSE(artefact.layer(0).calculate_kv_scales);
}

TEST_F(WrapperTest, DescribesKernels) {
  Sample sample({"host"});
  sample.manifest.kernels[0].scales[1].second = {std::nullopt, "argument", std::nullopt};
  auto kernel = Artefact::open(write(sample)).kernel("layer.0", "store");
  kvq_kernel_info info = kernel.info();
  EXPECT_STREQ(info.layer, "layer.0");
  EXPECT_STREQ(info.op, "store");
  EXPECT_STREQ(info.layout, "nhd");
  EXPECT_STREQ(info.source_type, "bf16");
  EXPECT_STREQ(info.cache_type, "f8E4M3FN");
  EXPECT_EQ(info.num_kv_heads, 8);
  EXPECT_EQ(info.head_size, 128);
  EXPECT_EQ(info.block_size, 16);
  std::vector<kvq_argument_info> arguments = kernel.arguments();
  ASSERT_EQ(arguments.size(), 15u);
  EXPECT_STREQ(arguments[0].name, "key");
  EXPECT_EQ(arguments[0].type, KVQ_TYPE_PTR);
  EXPECT_EQ(arguments[0].align, 16);
  EXPECT_STREQ(arguments[7].name, "key_stride");
  EXPECT_EQ(arguments[7].type, KVQ_TYPE_I64);
  EXPECT_EQ(arguments[7].divisible, 8);
  EXPECT_EQ(kernel.index("slot_mapping"), 4u);
  EXPECT_TRUE(kernel.has("slot_mapping"));
  EXPECT_FALSE(kernel.has("k_scale"));
  std::vector<kvq_scale_info> scales = kernel.scales();
  ASSERT_EQ(scales.size(), 2u);
  EXPECT_STREQ(scales[0].name, "k");
  EXPECT_STREQ(scales[0].method, "multiply");
  ASSERT_EQ(scales[0].num_values, 1u);
  EXPECT_EQ(scales[0].values[0], 0.5f);
  EXPECT_EQ(scales[1].num_values, 0u);
}

TEST_F(WrapperTest, DescribesScalesPerHead) {
  Sample sample({"host"});
  std::vector<float> heads = {0.5f, 0.25f, 0.125f, 1.0f, 0.5f, 0.25f, 0.125f, 1.0f};
  sample.manifest.kernels[0].scales[1].second = {std::nullopt, "multiply", 8 * 65536, heads};
  sample.manifest.layers[0].targets[0].headScales[2] = heads;
  auto artefact = Artefact::open(write(sample));
  kvq_layer_info layer = artefact.layer(0);
  EXPECT_EQ(layer.num_head_scales[1], 0u);
  EXPECT_EQ(layer.head_scales[1], nullptr);
  EXPECT_EQ(layer.scales[1], 0.5f);
  ASSERT_EQ(layer.num_head_scales[2], heads.size());
  EXPECT_TRUE(std::equal(heads.begin(), heads.end(), layer.head_scales[2]));
  EXPECT_NE(layer.scales[2], layer.scales[2]);
  std::vector<kvq_scale_info> scales = artefact.kernel("layer.0", "store").scales();
  EXPECT_EQ(scales[0].num_values, 1u);
  ASSERT_EQ(scales[1].num_values, heads.size());
  EXPECT_TRUE(std::equal(heads.begin(), heads.end(), scales[1].values));
}

TEST_F(WrapperTest, CallsHoldTheirValues) {
  StandIn &cuda = useCuda({cudaDevice(9, 0)});
  Call call(Artefact::open(write(Sample({"sm_90"}))).kernel("layer.0", "store"));
  // Without work at first: arguments are null and 0.
  call.launch();
  EXPECT_TRUE(cuda.launches.empty());
  std::vector<kvq_value> values = storeValues();
  std::vector<kvq_argument_info> arguments = call.getKernel().arguments();
  for (size_t i = 0; i < values.size(); ++i)
    if (arguments[i].type == KVQ_TYPE_PTR)
      call.set(arguments[i].name, values[i].ptr);
    else
      call.set(arguments[i].name, values[i].i64);
  const size_t tokens = call.getKernel().index("num_tokens");
  for (int count : {7, 9}) {
    call.set(tokens, count).launch(&call);
    EXPECT_EQ(cuda.launches.back().arguments[5], uint64_t(count));
    EXPECT_EQ(cuda.launches.back().stream, &call);
  }
  EXPECT_EQ(call.plan().grid[0], 5u);
}

TEST_F(WrapperTest, CallsRefuseOtherTypes) {
  Call call(Artefact::open(write(Sample({"host"}))).kernel("layer.0", "store"));
  try {
    call.set("key", 7);
    ADD_FAILURE() << "expected a refusal";
  } catch (const Error &error) {
    EXPECT_STREQ(error.what(), "expected a pointer for 'key', but got a number");
  }
  try {
    call.set("num_tokens", nullptr);
    ADD_FAILURE() << "expected a refusal";
  } catch (const Error &error) {
    EXPECT_STREQ(error.what(), "expected a number for 'num_tokens', but got a pointer");
  }
}
