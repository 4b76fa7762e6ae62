//===- Fixture.cpp - Directories and drivers for the runtime --------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fixture.h"
#include "kvq/Artefact/Hash.h"
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fstream>

using namespace kvq;
using namespace kvq::test;
namespace fs = std::filesystem;

std::string test::elfImage(const std::string &name) {
  Elf64_Ehdr header{};
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  return std::string(reinterpret_cast<const char *>(&header), sizeof(header)) + name;
}

std::string test::backendOf(const std::string &target) {
  return target == "host" ? "host" : target.compare(0, 3, "sm_") == 0 ? "nvvm" : "rocdl";
}

ManifestKernel test::storeKernel(const std::string &target, const std::string &symbol,
                                 int64_t align) {
  ManifestKernel kernel;
  kernel.symbol = symbol;
  kernel.target = target;
  kernel.op = "store";
  kernel.layout = "nhd";
  kernel.sourceType = "bf16";
  kernel.cacheType = backendOf(target) == "rocdl" ? "f8E4M3FNUZ" : "f8E4M3FN";
  kernel.numKVHeads = 8;
  kernel.headSize = 128;
  kernel.blockSize = 16;
  kernel.scales = {{"k", {0.5f, "multiply", 65536}}, {"v", {0.25f, "multiply", 65536}}};
  int64_t elements = std::max<int64_t>(1, align / 2);
  for (const char *name : {"key", "value"})
    kernel.args.push_back({name, "ptr", align, std::nullopt});
  for (const char *name : {"key_cache", "value_cache"})
    kernel.args.push_back({name, "ptr", elements, std::nullopt});
  kernel.args.push_back({"slot_mapping", "ptr", 8, std::nullopt});
  for (const char *name : {"num_tokens", "num_blocks"})
    kernel.args.push_back({name, "i64", std::nullopt, std::nullopt});
  for (const char *name :
       {"key_stride", "value_stride", "key_block_stride", "key_page_stride", "key_head_stride",
        "value_block_stride", "value_page_stride", "value_head_stride"})
    kernel.args.push_back({name, "i64", std::nullopt, elements});
  if (target != "host") {
    kernel.block[0] = LaunchSize::of(128);
    kernel.grid[0] = LaunchSize::ceilDiv(LaunchSize::of("num_tokens"), LaunchSize::of(2));
    kernel.sharedBytes = 48;
  }
  return kernel;
}

Sample::Sample(const std::vector<std::string> &targets) {
  manifest.producer = "kvq 0.0";
  manifest.format = "mlir";
  manifest.sha256 = std::string(64, 'a');
  for (int index : {0, 1}) {
    ManifestLayer layer;
    layer.name = "layer." + std::to_string(index);
    layer.index = index;
    manifest.layers.push_back(layer);
  }
  for (const std::string &given : targets) {
    size_t dash = given.find('-');
    ManifestTarget target;
    target.target = given.substr(0, dash);
    const std::string &name = target.target;
    target.backend = backendOf(name);
    target.fnuz = name == "gfx942";
    target.cacheType = target.fnuz ? "f8E4M3FNUZ" : "f8E4M3FN";
    auto addFile = [&](const std::string &kind, const std::string &extension,
                       const std::string &bytes) {
      target.files.emplace_back(kind, name + "." + extension);
      files[name + "." + extension] = bytes;
    };
    if (target.backend == "nvvm") {
      addFile("ptx", "ptx", "// PTX of " + name);
      if (dash == std::string::npos)
        addFile("cubin", "cubin", elfImage("cubin of " + name));
    } else if (target.backend == "rocdl") {
      addFile("hsaco", "hsaco", elfImage("hsaco of " + name));
    } else {
      std::ifstream kernels(KVQ_RECORDING_KERNELS, std::ios::binary);
      addFile(
          "shared_object", "so",
          std::string(std::istreambuf_iterator<char>(kernels), std::istreambuf_iterator<char>()));
    }
    manifest.targets.push_back(target);
    const std::string symbol = name == "host" ? "record_store" : "store_16";
    manifest.kernels.push_back(storeKernel(name, symbol));
    for (ManifestLayer &layer : manifest.layers) {
      ManifestLayerTarget onTarget;
      onTarget.target = name;
      onTarget.scales = {1.0f, 0.5f, 0.25f, 1.0f};
      onTarget.kernels = {{"store", symbol}};
      layer.targets.push_back(onTarget);
    }
  }
}

void RuntimeTest::SetUp() {
  // A machine may have a driver, which is none of these tests' business.
  setenv("KVQ_CUDA_LIBRARY", "/no-such-library", 1);
  setenv("KVQ_HIP_LIBRARY", "/no-such-library", 1);
}

void *RuntimeTest::findSymbol(const char *library, const char *name) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  return handle ? dlsym(handle, name) : nullptr;
}

StandIn &RuntimeTest::use(const char *variable, const char *library,
                          const std::vector<StandInDevice> &devices) {
  setenv(variable, library, 1);
  standInFunction<decltype(kvq_stand_in_reset)>(library, "kvq_stand_in_reset")(devices.data(),
                                                                               devices.size());
  StandIn &standIn = *standInFunction<decltype(kvq_stand_in)>(library, "kvq_stand_in")();
  for (const char *symbol : {"store_16", "store_4", "store_2"})
    standIn.numArguments[symbol] = storeValues().size();
  return standIn;
}

StandIn &RuntimeTest::useCuda(const std::vector<StandInDevice> &devices, const char *library) {
  return use("KVQ_CUDA_LIBRARY", library, devices);
}

StandIn &RuntimeTest::useHip(const std::vector<StandInDevice> &devices) {
  return use("KVQ_HIP_LIBRARY", KVQ_STAND_IN_HIP, devices);
}

std::string RuntimeTest::write(const Sample &sample, const std::string &name) {
  fs::path directory = folder / name;
  fs::create_directory(directory);
  Manifest manifest = sample.manifest;
  manifest.hashes.clear();
  for (const auto &[file, bytes] : sample.files) {
    manifest.hashes.push_back({file, *sha256Text(bytes)});
    std::ofstream(directory / file, std::ios::binary) << bytes;
  }
  std::ofstream(directory / kManifestFile) << toJsonText(manifest);
  return directory.string();
}

Error RuntimeTest::openError(const std::string &directory, const runtime::OpenOptions &options) {
  try {
    runtime::Artefact::open(directory, options);
  } catch (const Error &error) {
    return error;
  }
  ADD_FAILURE() << "expected " << directory << " to be refused";
  return Error(kvq_error{});
}

std::vector<kvq_value> test::storeValues(int64_t numTokens) {
  std::vector<kvq_value> values;
  for (int64_t number : {0x1000, 0x2000, 0x3000, 0x4000, 0x5000})
    values.push_back({reinterpret_cast<void *>(number)});
  for (int64_t number :
       {numTokens, int64_t(100), int64_t(1024), int64_t(2048), int64_t(16384), int64_t(1024),
        int64_t(128), int64_t(32768), int64_t(1024), int64_t(128)}) {
    kvq_value value;
    value.i64 = number;
    values.push_back(value);
  }
  return values;
}

void test::expectPart(const std::string &text, const std::string &part) {
  EXPECT_NE(text.find(part), std::string::npos) << "in: " << text << "\nexpected: " << part;
}
