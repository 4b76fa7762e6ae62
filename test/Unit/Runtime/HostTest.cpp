//===- HostTest.cpp - Kernels of this machine -----------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fixture.h"
#include <fstream>

using namespace kvq;
using namespace kvq::runtime;
using namespace kvq::test;

using HostTest = RuntimeTest;

/// Rows that a kernel writes what it was given into.
struct alignas(16) Row {
  int64_t values[16] = {};
};

TEST_F(HostTest, CallsWithAllArgumentsInOrder) {
  auto kernel = Artefact::open(write(Sample({"host"}))).kernel("layer.0", "store");
  Row row;
  std::vector<kvq_value> values = storeValues();
  values[0].ptr = &row;
  kernel.launch(values.data(), values.size());
  ASSERT_EQ(values.size(), 15u);
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(row.values[i], values[i].i64) << i;
}

TEST_F(HostTest, CallsWithNarrowArguments) {
  Sample sample({"host"});
  ManifestKernel kernel = storeKernel("host", "record_narrow");
  kernel.args = {
      {"key", "ptr", 16, {}}, {"num_tokens", "i32", {}, {}}, {"key_stride", "i64", {}, 1}};
  kernel.op = "narrow";
  sample.add(kernel);
  sample.manifest.layers[0].targets[0].kernels.emplace_back("narrow", "record_narrow");
  Row row;
  Call call(Artefact::open(write(sample)).kernel("layer.0", "narrow"));
  call.set("key", &row).set("num_tokens", INT32_MAX).set("key_stride", INT64_MIN).launch();
  EXPECT_EQ(row.values[0], INT32_MAX);
  EXPECT_EQ(row.values[1], INT64_MIN);
}

TEST_F(HostTest, CallsNothingWithoutWork) {
  auto kernel = Artefact::open(write(Sample({"host"}))).kernel("layer.0", "store");
  Row row;
  for (int64_t tokens : {0, -3}) {
    std::vector<kvq_value> values = storeValues(tokens);
    values[0].ptr = &row;
    kernel.launch(values.data(), values.size());
  }
  EXPECT_EQ(row.values[1], 0);
}

TEST_F(HostTest, KeepsTheBytesThatItChecked) {
  std::string directory = write(Sample({"host"}));
  auto kernel = Artefact::open(directory).kernel("layer.0", "store");
  // What becomes of the file is no matter.
  std::ofstream(directory + "/host.so") << "gone";
  Row row;
  std::vector<kvq_value> values = storeValues();
  values[0].ptr = &row;
  kernel.launch(values.data(), values.size());
  EXPECT_EQ(row.values[5], 7);
}

TEST_F(HostTest, TwoArtefactsHaveCodeOfTheirOwn) {
  Sample sample({"host"});
  auto first = Artefact::open(write(sample));
  auto second = Artefact::open(write(sample, "other"));
  std::vector<kvq_value> values = storeValues();
  kvq_plan a = first.kernel("layer.0", "store").plan(values.data(), values.size());
  kvq_plan b = second.kernel("layer.0", "store").plan(values.data(), values.size());
  EXPECT_STREQ(a.symbol, "record_store");
  EXPECT_NE(a.function, b.function);
}

TEST_F(HostTest, RefusesCodeWithoutItsKernels) {
  Sample sample({"host"});
  sample.add(storeKernel("host", "absent"));
  Error error = openError(write(sample));
  EXPECT_EQ(error.status(), KVQ_ERROR_ARTEFACT);
  expectPart(error.what(), "host.so: expected a function 'absent', but it has none");
}

TEST_F(HostTest, RefusesCodeOfAnotherMachine) {
  Sample sample({"host"});
  // e_machine, two bytes at 18, of something that no machine is.
  sample.files["host.so"].replace(18, 2, "\xff\xfe");
  Error error = openError(write(sample), [] {
    OpenOptions options;
    options.device = KVQ_DEVICE_HOST;
    return options;
  }());
  EXPECT_EQ(error.status(), KVQ_ERROR_DEVICE);
  expectPart(error.what(), "host.so: cannot load");
}
