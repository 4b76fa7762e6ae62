//===- StandIn.cpp - Drivers that record and do nothing -------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StandIn.h"
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

using namespace kvq::test;

/// The last is in use; what was loaded from earlier ones may still be released.
static std::vector<std::unique_ptr<StandIn>> &instances() {
  static std::vector<std::unique_ptr<StandIn>> all;
  if (all.empty())
    all.push_back(std::make_unique<StandIn>());
  return all;
}

StandIn::StandIn(std::vector<StandInDevice> pretended) : devices(std::move(pretended)) {
  for (size_t i = 0; i < devices.size(); ++i)
    contexts.push_back({std::make_unique<StandInContext>(StandInContext{int(i), true}),
                        std::make_unique<StandInContext>(StandInContext{int(i), false})});
}

int StandIn::note(const char *function) {
  std::lock_guard<std::mutex> lock(mutex);
  calls.push_back(function);
  auto found = failures.find(function);
  return found == failures.end() ? 0 : found->second;
}

StandInModule *StandIn::load(const void *image, StandInContext *context) {
  constexpr size_t elfHeader = 64;
  const char *bytes = static_cast<const char *>(image);
  auto module = std::make_unique<StandInModule>();
  module->image = strncmp(bytes, "\177ELF", 4) == 0 ? bytes + elfHeader : bytes;
  module->context = context;
  std::lock_guard<std::mutex> lock(mutex);
  images.push_back(module->image);
  StandInModule *address = module.get();
  modules[address] = std::move(module);
  return address;
}

/// The host's function of that name; null where none is to be run.
static void *findHostFunction(const char *symbol) {
  const char *path = getenv("KVQ_STAND_IN_HOST");
  void *host = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
  return host ? dlsym(host, symbol) : nullptr;
}

/// How many arguments the environment says that the operation 'kvq_OP_…' has.
static size_t countArguments(const std::string &symbol) {
  const char *entry = getenv("KVQ_STAND_IN_ARGUMENTS");
  while (entry && *entry) {
    const char *colon = strchr(entry, ':');
    if (!colon)
      return 0;
    if (symbol.rfind("kvq_" + std::string(entry, colon) + "_", 0) == 0)
      return size_t(atoi(colon + 1));
    entry = strchr(colon, ',');
    entry += entry != nullptr;
  }
  return 0;
}

/// Calls a function of at most 24 arguments of 8 bytes; what it does not have it
/// does not look at.
#if defined(__clang__)
__attribute__((no_sanitize("function")))
#endif
static void callHost(void *function, const std::vector<uint64_t> &arguments) {
  using Word = uint64_t;
  Word a[24] = {};
  for (size_t i = 0; i < arguments.size() && i < 24; ++i)
    a[i] = arguments[i];
  reinterpret_cast<void (*)(Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word,
                            Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word,
                            Word)>(function)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8],
                                             a[9], a[10], a[11], a[12], a[13], a[14], a[15], a[16],
                                             a[17], a[18], a[19], a[20], a[21], a[22], a[23]);
}

void *StandIn::find(StandInModule *module, const char *symbol) {
  std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<StandInFunction> &function = module->functions[symbol];
  auto count = numArguments.find(symbol);
  if (!function)
    function = std::make_unique<StandInFunction>(StandInFunction{
        module->image, symbol, count == numArguments.end() ? countArguments(symbol) : count->second,
        findHostFunction(symbol)});
  return function.get();
}

void StandIn::launch(void *address, std::array<unsigned, 3> grid, std::array<unsigned, 3> block,
                     unsigned sharedBytes, void *stream, void **params) {
  auto *function = static_cast<StandInFunction *>(address);
  StandInLaunch entry{function->image, function->symbol, grid, block, sharedBytes, stream, {}};
  for (size_t i = 0; i < function->numArguments; ++i) {
    uint64_t value;
    memcpy(&value, params[i], sizeof(value));
    entry.arguments.push_back(value);
  }
  if (function->host)
    callHost(function->host, entry.arguments);
  std::lock_guard<std::mutex> lock(mutex);
  launches.push_back(std::move(entry));
}

extern "C" {
StandIn *kvq_stand_in() { return instances().back().get(); }

void kvq_stand_in_reset(const StandInDevice *devices, size_t count) {
  instances().push_back(
      std::make_unique<StandIn>(std::vector<StandInDevice>(devices, devices + count)));
}

void kvq_stand_in_set_quiet(int quiet) { instances().back()->quiet = quiet != 0; }

void kvq_stand_in_set_num_arguments(const char *symbol, size_t count) {
  kvq_stand_in()->numArguments[symbol] = count;
}

size_t kvq_stand_in_num_launches() { return kvq_stand_in()->launches.size(); }

const char *kvq_stand_in_launch(size_t index) {
  static std::string text;
  const StandInLaunch &launch = kvq_stand_in()->launches.at(index);
  text = launch.image + "\n" + launch.symbol;
  for (const auto &sizes : {launch.grid, launch.block})
    for (unsigned size : sizes)
      text += "\n" + std::to_string(size);
  text += "\n" + std::to_string(launch.sharedBytes);
  text += "\n" + std::to_string(reinterpret_cast<uintptr_t>(launch.stream));
  for (uint64_t argument : launch.arguments)
    text += "\n" + std::to_string(argument);
  return text.c_str();
}
}
