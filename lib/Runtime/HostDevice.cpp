//===- HostDevice.cpp - This machine's CPU --------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Device.h"
#include "Refusal.h"
#include "kvq/Artefact/HostCall.h"
#include "kvq/Artefact/SharedObject.h"
#include "kvq/Json/Quote.h"
#include <cstring>
#include <optional>

using namespace kvq;
using namespace kvq::runtime;

namespace {

class HostDevice : public Device {
public:
  explicit HostDevice(int ordinal);

  bool load(const CodeChoice &choice, const std::string &bytes) override;
  void *find(const std::string &symbol) override;
  int launch(const LaunchPlan &plan, const kvq_value *values, size_t count,
             void *) const noexcept override {
    static_assert(sizeof(kvq_value) == sizeof(uint64_t) && KVQ_MAX_ARGUMENTS <= kMaxHostArguments);
    uint64_t words[KVQ_MAX_ARGUMENTS];
    memcpy(words, values, count * sizeof(kvq_value));
    callHostKernel(plan.function, words, count);
    return 0;
  }
  const char *getLaunchName() const noexcept override { return "call"; }
  std::string describe(const char *function, int) const override { return function; }

private:
  std::string name;
  std::optional<SharedObject> object;
};

} // namespace

HostDevice::HostDevice(int ordinal) {
  if (ordinal != KVQ_CURRENT_DEVICE && ordinal != 0)
    throw Refusal(KVQ_ERROR_DEVICE,
                  "expected 0 as the host's number, but got " + std::to_string(ordinal));
  description.kind = KVQ_DEVICE_HOST;
  description.name = "host";
#if defined(__x86_64__)
  // Of x86-64-v3, the baseline of kvqc's host target.
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
      !__builtin_cpu_supports("bmi2"))
    throw Refusal(KVQ_ERROR_DEVICE, "expected a CPU of x86-64-v3 (AVX2, FMA, BMI2)");
#endif
}

bool HostDevice::load(const CodeChoice &choice, const std::string &bytes) {
  name = choice.file;
  Result<SharedObject> loaded = SharedObject::load(bytes, name);
  if (!loaded)
    throw Refusal(KVQ_ERROR_DEVICE, loaded.error());
  object = std::move(*loaded);
  return true;
}

void *HostDevice::find(const std::string &symbol) {
  if (void *found = object->find(symbol))
    return found;
  throw Refusal(KVQ_ERROR_ARTEFACT, escapeText(name) + ": expected a function " +
                                        quoteName(symbol) + ", but it has none");
}

std::unique_ptr<Device> kvq::runtime::openHostDevice(int ordinal) {
  return std::make_unique<HostDevice>(ordinal);
}
