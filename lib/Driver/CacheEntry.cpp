//===- CacheEntry.cpp - Compiled kernels as bytes -------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One function for each struct names its members, for writing and for reading:
// `visit` takes it apart into as many as it has, so that a member which is added
// cannot be forgotten here. Entries are read by the very build that wrote them;
// nothing of their form needs to last.
//
//===----------------------------------------------------------------------===//

#include "CacheEntry.h"

using namespace kvq;

namespace {

/// Appends values to a text.
class Writer {
public:
  std::string bytes;

  template <typename... Values> void operator()(const Values &...values) { (write(values), ...); }

private:
  template <typename Value>
  std::enable_if_t<std::is_arithmetic_v<Value> || std::is_enum_v<Value>> write(Value value) {
    bytes.append(reinterpret_cast<const char *>(&value), sizeof(value));
  }
  void write(const std::string &text) {
    write(text.size());
    bytes += text;
  }
  template <typename Value> void write(const std::vector<Value> &values) {
    write(values.size());
    for (const Value &value : values)
      write(value);
  }
  template <typename Value, size_t size> void write(const std::array<Value, size> &values) {
    for (const Value &value : values)
      write(value);
  }
  template <typename Value> void write(const std::optional<Value> &value) {
    write(value.has_value());
    if (value)
      write(*value);
  }
  template <typename First, typename Second> void write(const std::pair<First, Second> &pair) {
    write(pair.first);
    write(pair.second);
  }
  template <typename Struct> std::enable_if_t<std::is_class_v<Struct>> write(const Struct &value) {
    visit(*this, value);
  }
};

/// Takes values from the front of a text.
class Reader {
public:
  explicit Reader(llvm::StringRef bytes) : bytes(bytes) {}

  template <typename... Values> void operator()(Values &...values) { (read(values), ...); }

  /// Whether all was there and nothing else.
  bool isComplete() const { return isGood && bytes.empty(); }

private:
  llvm::StringRef take(size_t size) {
    isGood &= size <= bytes.size();
    llvm::StringRef taken = isGood ? bytes.take_front(size) : "";
    bytes = bytes.drop_front(taken.size());
    return taken;
  }
  template <typename Value>
  std::enable_if_t<std::is_arithmetic_v<Value> || std::is_enum_v<Value>> read(Value &value) {
    llvm::StringRef taken = take(sizeof(value));
    if (isGood)
      std::memcpy(&value, taken.data(), sizeof(value));
  }
  void read(std::string &text) {
    size_t size = 0;
    read(size);
    text = take(size).str();
  }
  template <typename Value> void read(std::vector<Value> &values) {
    size_t size = 0;
    read(size);
    values.clear();
    for (size_t i = 0; i < size && isGood; ++i)
      read(values.emplace_back());
  }
  template <typename Value, size_t size> void read(std::array<Value, size> &values) {
    for (Value &value : values)
      read(value);
  }
  template <typename Value> void read(std::optional<Value> &value) {
    bool isThere = false;
    read(isThere);
    value.reset();
    if (isThere && isGood)
      read(value.emplace());
  }
  template <typename First, typename Second> void read(std::pair<First, Second> &pair) {
    read(pair.first);
    read(pair.second);
  }
  template <typename Struct> std::enable_if_t<std::is_class_v<Struct>> read(Struct &value) {
    visit(*this, value);
  }

  llvm::StringRef bytes;
  bool isGood = true;
};

/// Whether T is Struct, const or not.
template <typename T, typename Struct>
using IfIs = std::enable_if_t<std::is_same_v<std::remove_const_t<T>, Struct>, int>;

} // namespace

namespace kvq {

template <typename Archive, typename T, IfIs<T, LaunchSize> = 0>
void visit(Archive &archive, T &size) {
  auto &[kind, number, argument, operands] = size;
  archive(kind, number, argument, operands);
}

template <typename Archive, typename T, IfIs<T, ManifestArgument> = 0>
void visit(Archive &archive, T &entry) {
  auto &[name, type, align, divisible] = entry;
  archive(name, type, align, divisible);
}

template <typename Archive, typename T, IfIs<T, ManifestScale> = 0>
void visit(Archive &archive, T &scale) {
  auto &[value, method, tried, headValues] = scale;
  archive(value, method, tried, headValues);
}

template <typename Archive, typename T, IfIs<T, ManifestKernel> = 0>
void visit(Archive &archive, T &kernel) {
  auto &[symbol, target, op, layout, sourceType, cacheType, numKVHeads, headSize, blockSize,
         kvLoraRank, numHeads, paddingSlot, bounds, scaleConstants, scales, args, block, grid,
         sharedBytes] = kernel;
  archive(symbol, target, op, layout, sourceType, cacheType, numKVHeads, headSize, blockSize,
          kvLoraRank, numHeads, paddingSlot, bounds, scaleConstants, scales, args, block, grid,
          sharedBytes);
}

template <typename Archive, typename T, IfIs<T, ManifestTarget> = 0>
void visit(Archive &archive, T &entry) {
  auto &[target, backend, fnuz, cacheType, files] = entry;
  archive(target, backend, fnuz, cacheType, files);
}

template <typename Archive, typename T, IfIs<T, ManifestVariant> = 0>
void visit(Archive &archive, T &variant) {
  auto &[op, name, symbol] = variant;
  archive(op, name, symbol);
}

template <typename Archive, typename T, IfIs<T, ManifestLayerTarget> = 0>
void visit(Archive &archive, T &layer) {
  auto &[target, scales, headScales, calculateKVScales, kernels, variants, warnings, notes] = layer;
  archive(target, scales, headScales, calculateKVScales, kernels, variants, warnings, notes);
}

template <typename Archive, typename T, IfIs<T, OutputFile> = 0>
void visit(Archive &archive, T &file) {
  auto &[name, contents] = file;
  archive(name, contents);
}

template <typename Archive, typename T, IfIs<T, CompiledUnit> = 0>
void visit(Archive &archive, T &unit) {
  auto &[kernels, ptx, object] = unit;
  archive(kernels, ptx, object);
}

template <typename Archive, typename T, IfIs<T, CompiledTarget> = 0>
void visit(Archive &archive, T &compiled) {
  auto &[target, kernels, layers, files, warnings] = compiled;
  archive(target, kernels, layers, files, warnings);
}

} // namespace kvq

template <typename T> static std::string encodeAny(const T &value) {
  Writer writer;
  writer(value);
  return std::move(writer.bytes);
}

template <typename T> static bool decodeAny(llvm::StringRef bytes, T &value) {
  Reader reader(bytes);
  reader(value);
  return reader.isComplete();
}

std::string kvq::encode(const CompiledUnit &unit) { return encodeAny(unit); }
std::string kvq::encode(const CompiledTarget &target) { return encodeAny(target); }

bool kvq::decode(llvm::StringRef bytes, CompiledUnit &unit) { return decodeAny(bytes, unit); }
bool kvq::decode(llvm::StringRef bytes, CompiledTarget &target) { return decodeAny(bytes, target); }

std::string kvq::encodeForKey(const KernelOptions &options) {
  const ResolveScalesPassOptions &resolve = options;
  const GenerateKernelsPassOptions &generate = options;
  const auto &[chip, fnuz, perHeadScales] = resolve;
  const auto &[ops, layout, blockSize, align, tensorParallelSize, bounds, slotType, paddingSlot,
               qScaleConstant, kScaleConstant, vScaleConstant, scales] = generate;
  Writer writer;
  auto list = [](const auto &values) { return std::vector(values.begin(), values.end()); };
  writer(chip, fnuz, perHeadScales, list(ops), layout, blockSize, list(align), tensorParallelSize,
         bounds, slotType, paddingSlot, qScaleConstant.value, kScaleConstant.value,
         vScaleConstant.value, scales);
  return std::move(writer.bytes);
}
