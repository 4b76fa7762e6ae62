//===- Fixture.h - Directories and drivers for the runtime ------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_TEST_UNIT_RUNTIME_FIXTURE_H
#define KVQ_TEST_UNIT_RUNTIME_FIXTURE_H

#include "../TemporaryFolder.h"
#include "StandIn.h"
#include "kvq/Artefact/Manifest.h"
#include "kvq/Runtime/Runtime.h"
#include <gtest/gtest.h>

namespace kvq::test {

/// A 64-bit ELF file without segments or sections that stand-ins know as `name`.
std::string elfImage(const std::string &name);

/// The backend that the name of a target means.
std::string backendOf(const std::string &target);

/// A store of layout nhd for 8 heads of 128 bf16 in blocks of 16, whose rows and
/// strides are aligned to `align` bytes. On a GPU a block of 128 threads does two
/// tokens.
ManifestKernel storeKernel(const std::string &target, const std::string &symbol = "store_16",
                           int64_t align = 16);

/// A manifest with layers 'layer.0' and 'layer.1' whose store is `storeKernel`,
/// and its files: an artefact for these targets, with PTX and a cubin of 'sm_…',
/// of 'sm_…-ptx' PTX alone.
struct Sample {
  explicit Sample(const std::vector<std::string> &targets);

  Manifest manifest;
  std::map<std::string, std::string> files;

  /// Adds a kernel, of a target that is there.
  void add(const ManifestKernel &kernel) { manifest.kernels.push_back(kernel); }
  /// Sets the bytes of a file.
  void setFile(const std::string &name, const std::string &bytes) { files[name] = bytes; }
};

/// Has stand-ins as the machine's drivers, and a folder for artefacts.
class RuntimeTest : public testing::Test {
protected:
  void SetUp() override;

  /// Has the runtime use a stand-in with these devices; without this there is no
  /// driver. Gives what it records.
  StandIn &useCuda(const std::vector<StandInDevice> &devices,
                   const char *library = KVQ_STAND_IN_CUDA);
  StandIn &useHip(const std::vector<StandInDevice> &devices);

  /// The function of a stand-in that was used.
  template <typename Function> Function *standInFunction(const char *library, const char *name) {
    return reinterpret_cast<Function *>(findSymbol(library, name));
  }

  /// Writes an artefact with the hashes of its files; its path.
  std::string write(const Sample &sample, const std::string &name = "artefact");

  /// The error of opening it; fails the test where it opens.
  static Error openError(const std::string &directory, const runtime::OpenOptions &options = {});

  TemporaryFolder temporary;
  const std::filesystem::path &folder = temporary.path();

private:
  StandIn &use(const char *variable, const char *library,
               const std::vector<StandInDevice> &devices);
  static void *findSymbol(const char *library, const char *name);
};

/// Values of `storeKernel` that it takes: addresses 0x1000, 0x2000, … and the
/// strides of compact tensors.
std::vector<kvq_value> storeValues(int64_t numTokens = 7);

/// What one of their kind says to a device's driver.
inline StandInDevice cudaDevice(int major, int minor) {
  return {"NVIDIA stand-in", major, minor, ""};
}
inline StandInDevice hipDevice(const std::string &arch) { return {"AMD stand-in", 0, 0, arch}; }

/// Expects `text` to have `part`.
void expectPart(const std::string &text, const std::string &part);

} // namespace kvq::test

#endif // KVQ_TEST_UNIT_RUNTIME_FIXTURE_H
