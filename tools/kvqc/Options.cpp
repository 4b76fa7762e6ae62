//===- Options.cpp - Options that subcommands share -----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Options.h"

using namespace kvq;
namespace cl = llvm::cl;

/// The words of an enumeration as --help lists them.
template <typename Enum> static std::string helpWords() {
  std::string text;
  for (Enum value : allValues<Enum>())
    text += (text.empty() ? "" : ", ") + stringify(value).str();
  return text;
}

Arguments::Arguments(cl::SubCommand &command, cl::OptionCategory &category)
    : owner(command), group(category),
      checkpoint(cl::Positional, cl::desc("CHECKPOINT"), cl::sub(command), cl::cat(category)) {
  add("config", "file", "A config.json with the geometry of a legacy JSON file");
  add("kv-cache-dtype", "dtype",
      "What an engine keeps in its cache: " + helpWords<KVCacheDtype>() + " (default: fp8)");
  add("source-type", "type",
      "The type of keys and values outside the cache: " + helpWords<SourceType>() +
          " (default: the checkpoint's)");
  addFlag("calculate-kv-scales", "As an engine that measures k and v scales at run time");
}

template <typename Kind, typename GetWords, typename... Modifiers>
cl::Option &Arguments::emplace(llvm::StringRef name, std::string help, GetWords getWords,
                               const Modifiers &...modifiers) {
  Argument &argument = arguments.emplace_back();
  argument.help = std::move(help);
  auto option = std::make_unique<Kind>(name, cl::desc(argument.help), modifiers..., cl::sub(owner),
                                       cl::cat(group));
  argument.getWords = [getWords, option = option.get()] { return getWords(*option); };
  argument.option = std::move(option);
  return *argument.option;
}

cl::Option &Arguments::add(llvm::StringRef name, llvm::StringRef value, std::string help) {
  auto getWords = [](const std::string &word) { return std::vector<std::string>{word}; };
  return emplace<cl::opt<std::string>>(name, std::move(help), getWords, cl::value_desc(value));
}

cl::Option &Arguments::addList(llvm::StringRef name, llvm::StringRef value, std::string help) {
  auto getWords = [](const std::vector<std::string> &words) { return words; };
  return emplace<cl::list<std::string>>(name, std::move(help), getWords, cl::value_desc(value));
}

void Arguments::addFlag(llvm::StringRef name, std::string help) {
  auto getWords = [](bool isSet) { return std::vector<std::string>{isSet ? "true" : "false"}; };
  emplace<cl::opt<bool>>(name, std::move(help), getWords);
}

std::vector<NamedOption> Arguments::getGiven() const {
  std::vector<NamedOption> given;
  for (const Argument &argument : arguments)
    if (argument.option->getNumOccurrences())
      given.push_back({argument.option->ArgStr.str(), argument.getWords()});
  return given;
}
