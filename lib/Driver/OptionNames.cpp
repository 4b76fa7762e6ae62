//===- OptionNames.cpp - Options by the names users give them -------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/OptionNames.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <limits>

using namespace kvq;
using llvm::StringRef;
using llvm::Twine;

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// The largest number that makes sense for a size that is not otherwise bounded.
static constexpr int64_t largestSize = 1 << 20;

/// The value of an option whose values are the words of Names.def; `option` is its
/// name without dashes.
template <typename Enum> static llvm::Expected<Enum> parseWord(StringRef option, StringRef word) {
  if (std::optional<Enum> value = symbolize<Enum>(word))
    return *value;
  return llvm::createStringError("expected '--" + option + "' to be one of " + listNames<Enum>() +
                                 ", but got " + quoteName(word));
}

/// A number from `least` to `most`; `option` is the name with the dashes.
static llvm::Expected<int64_t> parseNumber(StringRef option, StringRef text, int64_t least,
                                           int64_t most) {
  int64_t value;
  if (!text.getAsInteger(10, value) && value >= least && value <= most)
    return value;
  return llvm::createStringError("expected '" + option + "' to be a number from " + Twine(least) +
                                 " to " + Twine(most) + ", but got " + quoteName(text));
}

/// A divisor.
static llvm::Expected<Float32Option> parseConstant(StringRef option, StringRef text) {
  double value = 0;
  bool isNumber = llvm::to_float(text, value);
  float narrow = isNumber ? float(value) : 0.0f;
  if (narrow > 0 && std::isfinite(narrow))
    return narrow;
  return llvm::createStringError("expected '--" + option +
                                 "' to be a positive float32 number, but got " + quoteName(text));
}

/// A number of bytes that addresses can be multiples of.
static llvm::Expected<int64_t> parseAlign(StringRef option, StringRef text) {
  llvm::Expected<int64_t> align = parseNumber(("--" + option).str(), text, 1, 32);
  if (align && !llvm::isPowerOf2_64(*align))
    return llvm::createStringError("expected '--" + option +
                                   "' to be 1, 2, 4, 8, 16 or 32, but got " + quoteName(text));
  return align;
}

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

namespace {

/// One option on its way into its place.
class Reader {
public:
  explicit Reader(const NamedOption &option) : option(option) {}

  StringRef name() const { return option.name; }

  llvm::Error read(std::string &value) const {
    if (llvm::Error error = requireOne())
      return error;
    value = option.words.front();
    return llvm::Error::success();
  }

  llvm::Error read(bool &value) const {
    if (llvm::Error error = requireOne())
      return error;
    value = option.words.front() == "true";
    if (value || option.words.front() == "false")
      return llvm::Error::success();
    return llvm::createStringError("expected '--" + option.name +
                                   "' to be 'true' or 'false', but got " +
                                   quoteName(option.words.front()));
  }

  template <typename Enum> llvm::Error read(Enum &value) const {
    return parse(value, parseWord<Enum>);
  }

  template <typename Enum> llvm::Error read(std::optional<Enum> &value) const {
    return read(value.emplace());
  }

  llvm::Error read(std::vector<std::string> &values) const {
    values = option.words;
    return llvm::Error::success();
  }

  /// Words of Names.def, each once.
  template <typename Enum> llvm::Error readWords(llvm::SmallVectorImpl<std::string> &words) const {
    auto parse = [](StringRef name, StringRef word) -> llvm::Expected<std::string> {
      if (llvm::Error error = parseWord<Enum>(name, word).takeError())
        return error;
      return word.str();
    };
    if (option.words.empty())
      return llvm::createStringError("expected '--" + option.name + "' to be at least one of " +
                                     listNames<Enum>());
    return parseList<std::string>(words, parse);
  }

  /// At least one value, each once.
  template <typename Value>
  llvm::Error parseList(llvm::SmallVectorImpl<Value> &values,
                        llvm::Expected<Value> (*function)(StringRef, StringRef)) const {
    values.clear();
    if (option.words.empty())
      return function(option.name, "").takeError();
    for (const std::string &word : option.words) {
      llvm::Expected<Value> value = function(option.name, word);
      if (!value)
        return value.takeError();
      if (!llvm::is_contained(values, *value))
        values.push_back(*value);
    }
    return llvm::Error::success();
  }

  template <typename Value>
  llvm::Error parse(Value &value, llvm::Expected<Value> (*function)(StringRef, StringRef)) const {
    if (llvm::Error error = requireOne())
      return error;
    return function(option.name, option.words.front()).moveInto(value);
  }

  llvm::Error readNumber(int64_t &value, int64_t least, int64_t most) const {
    if (llvm::Error error = requireOne())
      return error;
    std::string name = (option.name.size() == 1 ? "-" : "--") + option.name;
    return parseNumber(name, option.words.front(), least, most).moveInto(value);
  }

private:
  llvm::Error requireOne() const {
    if (option.words.size() == 1)
      return llvm::Error::success();
    return llvm::createStringError("expected one '--" + option.name + "', but got " +
                                   Twine(option.words.size()));
  }

  const NamedOption &option;
};

} // namespace

/// Sets an option of the input, or says that it is none of them.
static std::optional<llvm::Error> setInput(InputOptions &options, const Reader &reader) {
  StringRef name = reader.name();
  if (name == "config")
    return reader.read(options.configFile);
  if (name == "kv-cache-dtype")
    return reader.read(options.dtype);
  if (name == "source-type")
    return reader.read(options.sourceType);
  if (name == "calculate-kv-scales")
    return reader.read(options.calculateKVScales);
  return std::nullopt;
}

static std::optional<llvm::Error> setCompile(CompileOptions &options, const Reader &reader) {
  KernelOptions &kernels = options.kernels;
  StringRef name = reader.name();
  if (name == "target")
    return reader.read(options.targets);
  if (name == "fnuz")
    return reader.read(kernels.fnuz);
  if (name == "per-head-scales")
    return reader.read(kernels.perHeadScales);
  if (name == "ops")
    return reader.readWords<CacheOpKind>(kernels.ops);
  if (name == "layout") {
    llvm::Error error = reader.read(kernels.layout);
    options.input.layout = kernels.layout;
    return error;
  }
  if (name == "bounds")
    return reader.read(kernels.bounds);
  if (name == "scales")
    return reader.read(kernels.scales);
  if (name == "slot-type")
    return reader.read(kernels.slotType);
  if (name == "block-size")
    return reader.readNumber(kernels.blockSize, 1, largestSize);
  if (name == "padding-slot")
    return reader.readNumber(kernels.paddingSlot, 0, std::numeric_limits<int64_t>::max());
  if (name == "q-scale-constant")
    return reader.parse(kernels.qScaleConstant, parseConstant);
  if (name == "k-scale-constant")
    return reader.parse(kernels.kScaleConstant, parseConstant);
  if (name == "v-scale-constant")
    return reader.parse(kernels.vScaleConstant, parseConstant);
  if (name == "align")
    return reader.parseList(kernels.align, parseAlign);
  if (name == "tensor-parallel-size") {
    llvm::Error error = reader.readNumber(kernels.tensorParallelSize, 1, largestSize);
    options.input.tensorParallelSize = kernels.tensorParallelSize;
    return error;
  }
  if (name == "save-temps")
    return reader.read(options.saveTemps);
  if (name == "cache-dir")
    return reader.read(options.cache.folder);
  if (name == "cache-size-limit") {
    constexpr int64_t megabyte = 1 << 20;
    int64_t limit = 0;
    llvm::Error error = reader.readNumber(limit, 0, largestSize);
    options.cache.sizeLimit = uint64_t(limit * megabyte);
    return error;
  }
  if (name == "no-cache") {
    // What it means is settled once all options are known.
    bool isOff;
    return reader.read(isOff);
  }
  if (name == "j") {
    int64_t jobs = 0;
    llvm::Error error = reader.readNumber(jobs, 1, 1024);
    options.jobs = unsigned(jobs);
    return error;
  }
  return setInput(options.input, reader);
}

static std::optional<llvm::Error> setInspect(InspectOptions &options, const Reader &reader) {
  if (reader.name() == "target")
    return reader.read(options.target);
  if (reader.name() == "fnuz")
    return reader.read(options.resolve.fnuz);
  if (reader.name() == "per-head-scales")
    return reader.read(options.resolve.perHeadScales);
  return setInput(options.input, reader);
}

static InputOptions &inputOf(CompileOptions &options) { return options.input; }
static InputOptions &inputOf(InspectOptions &options) { return options.input; }
static InputOptions &inputOf(InputOptions &options) { return options; }

template <typename Options>
static llvm::Expected<Options> readAll(StringRef checkpoint, llvm::ArrayRef<NamedOption> named,
                                       std::optional<llvm::Error> (*set)(Options &,
                                                                         const Reader &)) {
  Options options;
  if (checkpoint.empty())
    return llvm::createStringError("expected the name of a checkpoint, but got an empty one");
  inputOf(options).path = checkpoint.str();
  for (const NamedOption &option : named) {
    std::optional<llvm::Error> error = set(options, Reader(option));
    if (!error)
      return llvm::createStringError("expected a known option, but got " +
                                     quoteName("--" + option.name));
    if (*error)
      return std::move(*error);
  }
  return options;
}

llvm::Expected<CompileOptions> kvq::readCompileOptions(StringRef checkpoint,
                                                       llvm::ArrayRef<NamedOption> options) {
  llvm::Expected<CompileOptions> read = readAll<CompileOptions>(checkpoint, options, setCompile);
  if (!read)
    return read;
  bool isOff = llvm::any_of(options, [](const NamedOption &option) {
    return option.name == "no-cache" && option.words.front() == "true";
  });
  bool isNamed =
      llvm::any_of(options, [](const NamedOption &option) { return option.name == "cache-dir"; });
  if (isOff && isNamed)
    return llvm::createStringError("expected one of '--no-cache' and '--cache-dir', but got both");
  if (!isOff && !isNamed)
    read->cache.folder = getDefaultCacheFolder();
  return read;
}

llvm::Expected<InspectOptions> kvq::readInspectOptions(StringRef checkpoint,
                                                       llvm::ArrayRef<NamedOption> options) {
  return readAll<InspectOptions>(checkpoint, options, setInspect);
}

llvm::Expected<InputOptions> kvq::readInputOptions(StringRef checkpoint,
                                                   llvm::ArrayRef<NamedOption> options) {
  return readAll<InputOptions>(checkpoint, options, setInput);
}
