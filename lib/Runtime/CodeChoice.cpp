//===- CodeChoice.cpp - Which code a device runs --------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CodeChoice.h"
#include "Refusal.h"
#include "kvq/Json/Quote.h"
#include <algorithm>

using namespace kvq;
using namespace kvq::runtime;

namespace {

/// A compute capability.
struct Capability {
  int major, minor;

  bool operator<(const Capability &other) const {
    return major != other.major ? major < other.major : minor < other.minor;
  }
  bool operator==(const Capability &other) const {
    return major == other.major && minor == other.minor;
  }
};

} // namespace

/// The capability that 'sm_90' or 'sm_121' names: the last digit is the minor
/// version. Forms with a letter ('sm_90a') run on one chip only, and kvq makes none.
static std::optional<Capability> capabilityOf(const std::string &target) {
  const std::string prefix = "sm_";
  if (target.compare(0, prefix.size(), prefix) != 0)
    return std::nullopt;
  std::string digits = target.substr(prefix.size());
  bool isNumber = std::all_of(digits.begin(), digits.end(),
                              [](char digit) { return digit >= '0' && digit <= '9'; });
  if (!isNumber || digits.size() < 2 || digits.size() > 4)
    return std::nullopt;
  int number = std::stoi(digits);
  return Capability{number / 10, number % 10};
}

std::string DeviceDescription::chip() const {
  switch (kind) {
  case KVQ_DEVICE_CUDA:
    return "sm_" + std::to_string(major * 10 + minor);
  case KVQ_DEVICE_HIP:
    return arch.substr(0, arch.find(':'));
  default:
    return "host";
  }
}

const char *runtime::backendOf(kvq_device_kind kind) {
  return kind == KVQ_DEVICE_CUDA ? "nvvm" : kind == KVQ_DEVICE_HIP ? "rocdl" : "host";
}

const char *runtime::nameOf(kvq_device_kind kind) {
  return kind == KVQ_DEVICE_CUDA ? "CUDA" : kind == KVQ_DEVICE_HIP ? "HIP" : "the host";
}

static const std::string *fileOf(const ManifestTarget &target, const std::string &kind) {
  for (const auto &[name, file] : target.files)
    if (name == kind)
      return &file;
  return nullptr;
}

/// Adds the `kind` files of the targets that `fits` takes, of the highest
/// capability first.
template <typename Predicate>
static void addCudaFiles(const std::vector<const ManifestTarget *> &targets,
                         const std::string &kind, Predicate fits,
                         std::vector<CodeChoice> &choices) {
  std::vector<std::pair<Capability, CodeChoice>> found;
  for (const ManifestTarget *target : targets) {
    std::optional<Capability> capability = capabilityOf(target->target);
    const std::string *file = fileOf(*target, kind);
    if (capability && file && fits(*capability))
      found.push_back({*capability, {target, kind, *file}});
  }
  std::sort(found.begin(), found.end(),
            [](const auto &a, const auto &b) { return b.first < a.first; });
  for (auto &entry : found)
    choices.push_back(std::move(entry.second));
}

std::vector<CodeChoice> runtime::chooseCode(const std::vector<ManifestTarget> &targets,
                                            const DeviceDescription &device, bool allowPtx,
                                            const std::string &wanted) {
  std::vector<const ManifestTarget *> candidates;
  for (const ManifestTarget &target : targets)
    if (target.backend == backendOf(device.kind) && (wanted.empty() || target.target == wanted))
      candidates.push_back(&target);

  std::vector<CodeChoice> choices;
  if (device.kind == KVQ_DEVICE_CUDA) {
    Capability own{device.major, device.minor};
    addCudaFiles(
        candidates, "cubin",
        [&](Capability made) { return made.major == own.major && !(own < made); }, choices);
    if (allowPtx)
      addCudaFiles(candidates, "ptx", [&](Capability made) { return !(own < made); }, choices);
    return choices;
  }
  const char *kind = device.kind == KVQ_DEVICE_HIP ? "hsaco" : "shared_object";
  for (const ManifestTarget *target : candidates)
    if (const std::string *file = fileOf(*target, kind); file && target->target == device.chip())
      choices.push_back({target, kind, *file});
  return choices;
}

std::string runtime::listTargets(const std::vector<ManifestTarget> &targets) {
  std::string text;
  for (const ManifestTarget &target : targets) {
    text += (text.empty() ? "" : ", ") + quoteName(target.target) + " (";
    for (size_t i = 0; i < target.files.size(); ++i)
      text += (i ? ", " : "") + target.files[i].first;
    text += ")";
  }
  return text.empty() ? "no target" : text;
}
