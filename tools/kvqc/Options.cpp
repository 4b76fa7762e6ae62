//===- Options.cpp - Options that subcommands share -----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Options.h"
#include "llvm/ADT/StringExtras.h"

using namespace kvq;
namespace cl = llvm::cl;

InputArguments::InputArguments(cl::SubCommand &command, cl::OptionCategory &category)
    : checkpoint(cl::Positional, cl::desc("CHECKPOINT"), cl::sub(command), cl::cat(category)),
      config("config", cl::desc("A config.json with the geometry of a legacy JSON file"),
             cl::value_desc("file"), cl::sub(command), cl::cat(category)),
      dtype("kv-cache-dtype", cl::value_desc("dtype"), cl::sub(command), cl::cat(category)),
      sourceType("source-type", cl::value_desc("type"), cl::sub(command), cl::cat(category)),
      calculateKVScales("calculate-kv-scales",
                        cl::desc("As an engine that measures k and v scales at run time"),
                        cl::sub(command), cl::cat(category)) {
  dtypeHelp = "What an engine keeps in its cache: " + helpWords<KVCacheDtype>() + " (default: fp8)";
  sourceTypeHelp = "The type of keys and values outside the cache: " + helpWords<SourceType>() +
                   " (default: the checkpoint's)";
  dtype.setDescription(dtypeHelp);
  sourceType.setDescription(sourceTypeHelp);
}

llvm::Expected<InputOptions> InputArguments::get() const {
  InputOptions options;
  if (checkpoint.size() != 1)
    return llvm::createStringError("expected one CHECKPOINT, but got " +
                                   llvm::Twine(checkpoint.size()));
  options.path = checkpoint.front();
  if (options.path.empty())
    return llvm::createStringError("expected the name of a checkpoint, but got an empty one");
  options.configFile = config;
  options.calculateKVScales = calculateKVScales;
  if (dtype.getNumOccurrences()) {
    llvm::Expected<KVCacheDtype> value = parseWord<KVCacheDtype>("kv-cache-dtype", dtype);
    if (!value)
      return value.takeError();
    options.dtype = *value;
  }
  if (sourceType.getNumOccurrences()) {
    llvm::Expected<SourceType> value = parseWord<SourceType>("source-type", sourceType);
    if (!value)
      return value.takeError();
    options.sourceType = *value;
  }
  return options;
}
