//===- DeviceTest.cpp - Devices and contexts ------------------------------===//
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

class DeviceTest : public RuntimeTest {
protected:
  void push(StandInContext *context) {
    auto *function = standInFunction<int(void *)>(KVQ_STAND_IN_CUDA, "cuCtxPushCurrent_v2");
    ASSERT_EQ(function(context), 0);
  }
  void *pop() {
    void *context = nullptr;
    standInFunction<int(void **)>(KVQ_STAND_IN_CUDA, "cuCtxPopCurrent_v2")(&context);
    return context;
  }

  static Artefact openOn(const std::string &directory, kvq_device_kind kind, int ordinal) {
    OpenOptions options;
    options.device = kind;
    options.ordinal = ordinal;
    return Artefact::open(directory, options);
  }

  static StandInContext *onlyContext(const StandIn &standIn) {
    EXPECT_EQ(standIn.modules.size(), 1u);
    return standIn.modules.begin()->first->context;
  }
};

} // namespace

TEST_F(DeviceTest, LoadsIntoTheCurrentContext) {
  StandIn &cuda = useCuda({cudaDevice(8, 0), cudaDevice(9, 0)});
  std::string directory = write(Sample({"sm_90", "sm_80"}));
  StandInContext *own = cuda.contexts[1][1].get();
  push(own);
  {
    auto artefact = openOn(directory, KVQ_DEVICE_CUDA, KVQ_CURRENT_DEVICE);
    EXPECT_STREQ(artefact.info().target, "sm_90");
    EXPECT_EQ(artefact.info().ordinal, 1);
    EXPECT_EQ(onlyContext(cuda), own);
    EXPECT_EQ(cuda.retained, 0);
  }
  {
    auto artefact = openOn(directory, KVQ_DEVICE_CUDA, 1);
    EXPECT_EQ(onlyContext(cuda), own);
  }
  EXPECT_EQ(pop(), own);
}

TEST_F(DeviceTest, RetainsThePrimaryContextOfAnotherDevice) {
  StandIn &cuda = useCuda({cudaDevice(8, 0), cudaDevice(9, 0)});
  std::string directory = write(Sample({"sm_90", "sm_80"}));
  StandInContext *own = cuda.contexts[1][1].get();
  push(own);
  {
    auto artefact = openOn(directory, KVQ_DEVICE_CUDA, 0);
    EXPECT_STREQ(artefact.info().target, "sm_80");
    EXPECT_EQ(onlyContext(cuda), cuda.contexts[0][0].get());
    EXPECT_EQ(cuda.retained, 1);
  }
  EXPECT_TRUE(cuda.modules.empty());
  EXPECT_EQ(cuda.retained, 0);
  // The caller's context is as it was.
  EXPECT_EQ(pop(), own);
  EXPECT_EQ(pop(), nullptr);
}

TEST_F(DeviceTest, WithoutAContextTheFirstDeviceIsCurrent) {
  StandIn &cuda = useCuda({cudaDevice(8, 0), cudaDevice(9, 0)});
  auto artefact = openOn(write(Sample({"sm_90", "sm_80"})), KVQ_DEVICE_CUDA, KVQ_CURRENT_DEVICE);
  EXPECT_STREQ(artefact.info().target, "sm_80");
  EXPECT_EQ(onlyContext(cuda), cuda.contexts[0][0].get());
  EXPECT_EQ(pop(), nullptr);
}

TEST_F(DeviceTest, SeveralDevicesInOneProcess) {
  StandIn &cuda = useCuda({cudaDevice(8, 0), cudaDevice(9, 0)});
  StandIn &hip = useHip({hipDevice("gfx942"), hipDevice("gfx1201")});
  std::string directory = write(Sample({"sm_90", "sm_80", "gfx942", "gfx1201", "host"}));
  auto first = openOn(directory, KVQ_DEVICE_CUDA, 0),
       second = openOn(directory, KVQ_DEVICE_CUDA, 1), third = openOn(directory, KVQ_DEVICE_HIP, 0),
       fourth = openOn(directory, KVQ_DEVICE_HIP, 1),
       fifth = openOn(directory, KVQ_DEVICE_HOST, KVQ_CURRENT_DEVICE);
  std::vector<kvq_value> values = storeValues();
  for (const Artefact &artefact : {second, first, fourth, third})
    artefact.kernel("layer.0", "store").launch(values.data(), values.size());
  ASSERT_EQ(cuda.launches.size(), 2u);
  EXPECT_EQ(cuda.launches[0].image, "cubin of sm_90");
  EXPECT_EQ(cuda.launches[1].image, "cubin of sm_80");
  ASSERT_EQ(hip.launches.size(), 2u);
  EXPECT_EQ(hip.launches[0].image, "hsaco of gfx1201");
  EXPECT_EQ(hip.launches[1].image, "hsaco of gfx942");
  // HIP's current device is as it was.
  int current = -1;
  standInFunction<int(int *)>(KVQ_STAND_IN_HIP, "hipGetDevice")(&current);
  EXPECT_EQ(current, 0);
}

TEST_F(DeviceTest, RefusesDevicesThatAreNotThere) {
  useCuda({cudaDevice(9, 0)});
  useHip({hipDevice("gfx942")});
  std::string directory = write(Sample({"sm_90", "gfx942", "host"}));
  OpenOptions options;
  options.ordinal = 1;
  options.device = KVQ_DEVICE_CUDA;
  Error cuda = openError(directory, options);
  EXPECT_EQ(cuda.status(), KVQ_ERROR_DRIVER);
  EXPECT_EQ(cuda.driverCode(), 101);
  options.device = KVQ_DEVICE_HIP;
  expectPart(openError(directory, options).what(), "expected a HIP device below 1, but got 1");
  options.device = KVQ_DEVICE_HOST;
  expectPart(openError(directory, options).what(), "expected 0 as the host's number, but got 1");
}
