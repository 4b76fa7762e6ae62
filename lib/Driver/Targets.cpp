//===- Targets.cpp - The targets that a user asks for ---------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Targets.h"
#include "kvq/Driver/Diagnostics.h"

using namespace mlir;
using namespace kvq;

llvm::Expected<std::vector<Target>> kvq::chooseTargets(ModuleOp module, ArrayRef<std::string> names,
                                                       bool fnuz) {
  std::vector<Target> targets;
  bool hasHost = false;
  for (const std::string &name : names) {
    llvm::Expected<const ChipInfo *> chip = lookUpChip(name);
    if (!chip)
      return chip.takeError();
    bool isHost = (*chip)->backend == Backend::Host;
    hasHost |= isHost;
    auto same = [&](const Target &target) { return target.chip == *chip; };
    if (!llvm::any_of(targets, same))
      targets.push_back({*chip, (*chip)->fnuz || (fnuz && isHost)});
  }
  if (auto present = module->getAttrOfType<TargetAttr>(KvqDialect::kTargetAttrName)) {
    for (const Target &target : targets)
      if (present.getChip() != target.chip->name)
        return moduleError(module, "expected '--target' to agree with the module, which is for '" +
                                       present.getChip() + "', but got '" + target.chip->name +
                                       "'");
    if (fnuz && !present.getFnuz())
      return moduleError(module, "expected '--fnuz' to agree with the module, whose target is "
                                 "without");
    return std::vector<Target>{{&present.getChipInfo(), present.getFnuz()}};
  }
  if (names.empty()) {
    hasHost = true;
    targets.push_back({findChip("host"), fnuz});
  }
  if (fnuz && !hasHost)
    return llvm::createStringError("expected '--fnuz' with the target 'host', whose kernels it is "
                                   "for; chips have formats of their own");
  return targets;
}

std::optional<std::string> kvq::describeCacheType(ModuleOp module, const Target &target) {
  std::optional<std::string> common;
  for (auto layer : module.getOps<AttentionOp>()) {
    std::optional<SourceType> source;
    if (layer.getSourceType())
      source = getSourceType(*layer.getSourceType());
    std::string type;
    if (std::optional<Fp8Format> format = cacheFormat(layer.getKvCacheDtype(), target.fnuz))
      type = stringify(*format).str();
    else if (source)
      type = stringify(*source).str();
    if (type.empty() || (common && *common != type))
      return std::nullopt;
    common = type;
  }
  return common;
}
