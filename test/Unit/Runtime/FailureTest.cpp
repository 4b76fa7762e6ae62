//===- FailureTest.cpp - What fails leaves nothing behind -----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fixture.h"
#include <cstring>

using namespace kvq;
using namespace kvq::runtime;
using namespace kvq::test;

using FailureTest = RuntimeTest;

static OpenOptions on(kvq_device_kind kind, int ordinal = KVQ_CURRENT_DEVICE) {
  OpenOptions options;
  options.device = kind;
  options.ordinal = ordinal;
  return options;
}

/// Expects `error` to have the driver's words.
static void expectDriverError(const Error &error, const std::string &function,
                              const std::string &name) {
  EXPECT_EQ(error.status(), KVQ_ERROR_DRIVER) << function;
  EXPECT_EQ(error.driverCode(), 700) << function;
  expectPart(error.what(), function + ": " + name + " (700): the stand-in was told to fail");
}

TEST_F(FailureTest, EveryCallOfCudaWhileOpening) {
  std::string directory = write(Sample({"sm_90"}));
  for (const char *function :
       {"cuInit", "cuCtxGetCurrent", "cuDeviceGet", "cuDevicePrimaryCtxRetain",
        "cuDeviceGetAttribute", "cuDeviceGetName", "cuCtxPushCurrent", "cuModuleLoadDataEx",
        "cuModuleGetFunction", "cuFuncLoad"}) {
    StandIn &cuda = useCuda({cudaDevice(9, 0)});
    cuda.failures[function] = 700;
    expectDriverError(openError(directory, on(KVQ_DEVICE_CUDA)), function, "CUDA_ERROR_STAND_IN");
    EXPECT_EQ(cuda.retained, 0) << function;
    EXPECT_TRUE(cuda.modules.empty()) << function;
    void *current = &cuda;
    cuda.failures.clear();
    standInFunction<int(void **)>(KVQ_STAND_IN_CUDA, "cuCtxGetCurrent")(&current);
    EXPECT_EQ(current, nullptr) << function;
  }
  StandIn &old = useCuda({cudaDevice(9, 0)}, KVQ_STAND_IN_CUDA_OLD);
  old.failures["cuFuncGetAttribute"] = 700;
  expectDriverError(openError(directory, on(KVQ_DEVICE_CUDA)), "cuFuncGetAttribute",
                    "CUDA_ERROR_STAND_IN");
}

TEST_F(FailureTest, EveryCallOfHipWhileOpening) {
  std::string directory = write(Sample({"gfx942"}));
  for (const char *function :
       {"hipInit", "hipGetDeviceCount", "hipGetDevice", "hipSetDevice", "hipGetDeviceProperties",
        "hipModuleLoadData", "hipModuleGetFunction"}) {
    StandIn &hip = useHip({hipDevice("gfx942"), hipDevice("gfx942")});
    hip.failures[function] = 700;
    expectDriverError(openError(directory, on(KVQ_DEVICE_HIP, 1)), function, "hipErrorStandIn");
    EXPECT_TRUE(hip.modules.empty()) << function;
    hip.failures.clear();
    int current = -1;
    standInFunction<int(int *)>(KVQ_STAND_IN_HIP, "hipGetDevice")(&current);
    EXPECT_EQ(current, 0) << function;
  }
}

TEST_F(FailureTest, LaunchesNameLayerAndOperation) {
  for (const std::string target : {"sm_90", "gfx942"}) {
    bool isCuda = target == "sm_90";
    StandIn &driver = isCuda ? useCuda({cudaDevice(9, 0)}) : useHip({hipDevice("gfx942")});
    const std::string function = isCuda ? "cuLaunchKernel" : "hipModuleLaunchKernel";
    auto kernel = Artefact::open(write(Sample({target}), target)).kernel("layer.1", "store");
    driver.failures[function] = 700;
    std::vector<kvq_value> values = storeValues();
    try {
      kernel.launch(values.data(), values.size());
      ADD_FAILURE() << "expected a failure";
    } catch (const Error &error) {
      expectDriverError(error, "layer 'layer.1', op 'store': " + function,
                        isCuda ? "CUDA_ERROR_STAND_IN" : "hipErrorStandIn");
    }
    // Of codes that the driver does not know.
    driver.failures[function] = 999;
    try {
      kernel.launch(values.data(), values.size());
      ADD_FAILURE() << "expected a failure";
    } catch (const Error &error) {
      expectPart(error.what(), "unknown error (999): no text");
    }
  }
}

TEST_F(FailureTest, TellsWhatTheAssemblerSays) {
  StandIn &cuda = useCuda({cudaDevice(9, 0)});
  cuda.failures["cuModuleLoadDataEx"] = 218;
  OpenOptions options = on(KVQ_DEVICE_CUDA);
  options.allowPtx = true;
  Error error = openError(write(Sample({"sm_80-ptx"})), options);
  expectPart(error.what(), "sm_80.ptx: cuModuleLoadDataEx: CUDA_ERROR_STAND_IN (218)");
  // In one line.
  expectPart(error.what(), ": line 7: what the assembler says");
}

TEST_F(FailureTest, ClosingReleasesEverything) {
  StandIn &cuda = useCuda({cudaDevice(9, 0), cudaDevice(9, 0)});
  StandIn &hip = useHip({hipDevice("gfx942")});
  std::string directory = write(Sample({"sm_90", "gfx942"}));
  {
    auto first = Artefact::open(directory, on(KVQ_DEVICE_CUDA));
    auto second = Artefact::open(directory, on(KVQ_DEVICE_CUDA, 1));
    auto third = Artefact::open(directory, on(KVQ_DEVICE_HIP));
    EXPECT_EQ(cuda.retained, 2);
    EXPECT_EQ(cuda.modules.size(), 2u);
    EXPECT_EQ(hip.modules.size(), 1u);
  }
  EXPECT_EQ(cuda.retained, 0);
  EXPECT_TRUE(cuda.modules.empty());
  EXPECT_TRUE(hip.modules.empty());
}

TEST_F(FailureTest, KernelsKeepTheirArtefactOpen) {
  StandIn &cuda = useCuda({cudaDevice(9, 0)});
  {
    Kernel kernel = Artefact::open(write(Sample({"sm_90"}))).kernel("layer.0", "store");
    EXPECT_EQ(cuda.modules.size(), 1u);
    std::vector<kvq_value> values = storeValues();
    kernel.launch(values.data(), values.size());
  }
  EXPECT_TRUE(cuda.modules.empty());
}

//===----------------------------------------------------------------------===//
// The C interface
//===----------------------------------------------------------------------===//

TEST_F(FailureTest, NamesWhatIsNotThere) {
  std::string directory = write(Sample({"host"}));
  auto artefact = Artefact::open(directory);
  auto errorOf = [&](auto function) -> std::string {
    try {
      function();
    } catch (const Error &error) {
      EXPECT_EQ(error.status(), KVQ_ERROR_NOT_FOUND);
      return error.what();
    }
    return "none";
  };
  EXPECT_EQ(errorOf([&] { artefact.kernel("layer.7", "store"); }),
            directory + ": expected one of 2 layers ('layer.0' to 'layer.1'), but got 'layer.7'");
  EXPECT_EQ(errorOf([&] { artefact.layer("layer"); }),
            directory + ": expected one of 2 layers ('layer.0' to 'layer.1'), but got 'layer'");
  EXPECT_EQ(errorOf([&] { artefact.kernel("layer.0", "gather"); }),
            "layer 'layer.0', op 'gather': expected an operation among 'store', but got 'gather'");
  auto kernel = artefact.kernel("layer.0", "store");
  expectPart(errorOf([&] { kernel.index("keys"); }),
             "layer 'layer.0', op 'store': expected an argument among 'key', 'value', 'key_cache'");
  EXPECT_EQ(errorOf([&] { kernel.argument(15); }), "expected an argument below 15, but got 15");
  EXPECT_EQ(errorOf([&] { artefact.layer(2); }), "expected a layer below 2, but got 2");
}

TEST_F(FailureTest, RefusesNullAndNonsense) {
  std::string directory = write(Sample({"host"}));
  kvq_error error;
  kvq_artefact *artefact = nullptr;
  EXPECT_EQ(kvq_open(nullptr, nullptr, &artefact, &error), KVQ_ERROR_ARGUMENT);
  EXPECT_STREQ(error.message, "expected 'directory', but got null");
  EXPECT_EQ(kvq_open(directory.c_str(), nullptr, nullptr, &error), KVQ_ERROR_ARGUMENT);
  auto refused = [&](kvq_open_options options, const char *text) {
    artefact = reinterpret_cast<kvq_artefact *>(1);
    EXPECT_EQ(kvq_open(directory.c_str(), &options, &artefact, &error), KVQ_ERROR_ARGUMENT);
    EXPECT_EQ(artefact, nullptr);
    expectPart(error.message, text);
  };
  const size_t size = sizeof(kvq_open_options);
  refused({0, 0, 0, 0, nullptr}, "'options': expected 'size' to be set");
  refused({size, 9, 0, 0, nullptr}, "expected a known device_kind, but got 9");
  refused({size, 0, -2, 0, nullptr}, "expected a device's number or KVQ_CURRENT_DEVICE");
  refused({size, 0, 0, 6, nullptr}, "expected known flags, but got 6");
  kvq_close(nullptr);
  // Without a place for the error.
  EXPECT_EQ(kvq_open(nullptr, nullptr, &artefact, nullptr), KVQ_ERROR_ARGUMENT);
}

TEST_F(FailureTest, ServesOtherSizesOfStructs) {
  std::string directory = write(Sample({"host"}));
  // A longer struct of a later version, without what that version added.
  struct Longer {
    kvq_open_options options;
    uint64_t added;
  } longer{{sizeof(Longer), KVQ_DEVICE_HOST, KVQ_CURRENT_DEVICE, 0, nullptr}, 0};
  kvq_artefact *artefact;
  kvq_error error;
  ASSERT_EQ(kvq_open(directory.c_str(), &longer.options, &artefact, &error), KVQ_OK);
  // A shorter one of an earlier version: what is behind it stays.
  kvq_artefact_info info;
  memset(&info, 0x55, sizeof(info));
  info.size = offsetof(kvq_artefact_info, backend);
  EXPECT_EQ(kvq_artefact_describe(artefact, &info, &error), KVQ_OK);
  EXPECT_STREQ(info.target, "host");
  EXPECT_EQ(info.size, offsetof(kvq_artefact_info, backend));
  EXPECT_EQ(info.num_layers, 0x5555555555555555u);
  kvq_close(artefact);
  longer.added = 1;
  EXPECT_EQ(kvq_open(directory.c_str(), &longer.options, &artefact, &error), KVQ_ERROR_ARGUMENT);
  expectPart(error.message, "what this version of the library knows");
}

TEST_F(FailureTest, CutsLongMessages) {
  // Not within a character: of two bytes each, after a text of either parity.
  for (const char *start : {"", "x"}) {
    std::string path = start;
    for (int i = 0; i < 2000; ++i)
      path += "\xc3\xa9";
    std::string message = openError(path).what();
    EXPECT_GE(message.size(), sizeof(kvq_error::message) - 2);
    EXPECT_EQ(message.substr(message.size() - 5), "\xc3\xa9...");
  }
}
