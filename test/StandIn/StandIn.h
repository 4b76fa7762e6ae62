//===- StandIn.h - Drivers that record and do nothing -----------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shared libraries with the symbols of libcuda and libamdhip64 that kvq's runtime
// uses. They pretend to have devices, note every call, and fail where they are
// told to. The environment's KVQ_CUDA_LIBRARY and KVQ_HIP_LIBRARY have the runtime
// open them; a test opens them too, for what `kvq_stand_in` gives.
//
// They execute where the environment's KVQ_STAND_IN_HOST names a host's shared
// object: a launch then runs its function of the same name, for the whole grid.
// KVQ_STAND_IN_ARGUMENTS says how many arguments operations have:
// "store:15,gather:19".
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_TEST_STANDIN_STANDIN_H
#define KVQ_TEST_STANDIN_STANDIN_H

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace kvq::test {

struct StandInDevice {
  std::string name = "stand-in";
  /// Of CUDA.
  int major = 9, minor = 0;
  /// Of HIP.
  std::string arch = "gfx942:sramecc+:xnack-";
};

/// A launch as the driver was asked for it.
struct StandInLaunch {
  /// The module's image, see StandIn::images, and the kernel's name.
  std::string image, symbol;
  std::array<unsigned, 3> grid, block;
  unsigned sharedBytes;
  void *stream;
  /// 8 bytes of each argument.
  std::vector<uint64_t> arguments;
};

struct StandIn;

/// What a device's code is loaded into: of HIP there is one for each device.
struct StandInContext {
  int device;
  bool primary;
};

struct StandInFunction {
  std::string image, symbol;
  size_t numArguments;
  /// What a launch runs, or null.
  void *host;
};

struct StandInModule {
  std::string image;
  StandInContext *context;
  std::map<std::string, std::unique_ptr<StandInFunction>> functions;
};

struct StandIn {
  explicit StandIn(std::vector<StandInDevice> devices = {StandInDevice()});

  // What it pretends.
  std::vector<StandInDevice> devices;
  /// The code that a function returns, without doing anything, by its name.
  std::map<std::string, int> failures;
  /// How many arguments kernels of a name have; of others none are read.
  std::map<std::string, size_t> numArguments;
  /// Whether launches return at once, unrecorded: to be set before others call.
  bool quiet = false;

  // What it saw.
  std::vector<std::string> calls;
  std::vector<StandInLaunch> launches;
  /// The images that were loaded: PTX's text, or what follows an ELF header up to
  /// a zero.
  std::vector<std::string> images;
  /// What is not released yet.
  int retained = 0;
  std::map<StandInModule *, std::unique_ptr<StandInModule>> modules;

  /// Two for each device, the primary and another.
  std::vector<std::array<std::unique_ptr<StandInContext>, 2>> contexts;

  // For the libraries. Notes a call; the code that it is to return.
  int note(const char *function);
  StandInModule *load(const void *image, StandInContext *context);
  void *find(StandInModule *module, const char *symbol);
  void launch(void *function, std::array<unsigned, 3> grid, std::array<unsigned, 3> block,
              unsigned sharedBytes, void *stream, void **params);

  std::mutex mutex;
};

} // namespace kvq::test

extern "C" {
/// The library's one stand-in.
kvq::test::StandIn *kvq_stand_in();
/// Forgets what it was told and saw, and has those devices; for a test's start.
void kvq_stand_in_reset(const kvq::test::StandInDevice *devices, size_t count);

// For programs in other languages.

/// Turns recording off or on.
void kvq_stand_in_set_quiet(int quiet);
/// How many arguments kernels of that name have, before their code is loaded.
void kvq_stand_in_set_num_arguments(const char *symbol, size_t count);
/// How many launches were recorded, and one of them: image, symbol, three sizes of
/// the grid and of the block, shared bytes, stream and arguments, each on a line.
size_t kvq_stand_in_num_launches();
const char *kvq_stand_in_launch(size_t index);
}

#endif // KVQ_TEST_STANDIN_STANDIN_H
