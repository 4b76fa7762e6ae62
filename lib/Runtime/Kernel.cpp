//===- Kernel.cpp - The kernels of one operation of one layer -------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "Refusal.h"
#include "kvq/Json/Quote.h"
#include <algorithm>
#include <cstdio>
#include <limits>

using namespace kvq;
using namespace kvq::runtime;

/// gather's only: without it sequences start at their first token.
static bool isNullable(const ManifestArgument &argument) { return argument.name == "seq_starts"; }

static bool isPointer(const ManifestArgument &argument) { return argument.type == "ptr"; }

//===----------------------------------------------------------------------===//
// Variants
//===----------------------------------------------------------------------===//

/// What an argument is a multiple of.
static int64_t unitOf(const ManifestArgument &argument) {
  return isPointer(argument) ? argument.align.value_or(1) : argument.divisible.value_or(1);
}

static std::array<LaunchProgram, 3> compileSizes(const std::array<LaunchSize, 3> &sizes,
                                                 const std::vector<ManifestArgument> &args) {
  return {LaunchProgram(sizes[0], args), LaunchProgram(sizes[1], args),
          LaunchProgram(sizes[2], args)};
}

static const ManifestKernel &checkedEntry(const ManifestKernel &entry) {
  if (entry.args.size() > KVQ_MAX_ARGUMENTS)
    throw Refusal(KVQ_ERROR_ARTEFACT, quoteName(entry.symbol) + ": expected at most " +
                                          std::to_string(KVQ_MAX_ARGUMENTS) +
                                          " arguments, but got " +
                                          std::to_string(entry.args.size()));
  if (entry.sharedBytes < 0 || entry.sharedBytes > std::numeric_limits<uint32_t>::max())
    throw Refusal(KVQ_ERROR_ARTEFACT,
                  quoteName(entry.symbol) + ": expected shared_bytes of 32 bits");
  return entry;
}

Variant::Variant(const ManifestKernel &kernel, void *function)
    : entry(&checkedEntry(kernel)), function(function),
      grid(compileSizes(kernel.grid, kernel.args)), block(compileSizes(kernel.block, kernel.args)) {
  for (const ManifestArgument &argument : kernel.args) {
    int64_t unit = unitOf(argument);
    if (unit <= 0)
      throw Refusal(KVQ_ERROR_ARTEFACT, quoteName(kernel.symbol) +
                                            ": expected a positive multiple for " +
                                            quoteName(argument.name));
    bool isPowerOfTwo = (unit & (unit - 1)) == 0;
    if (!isPowerOfTwo)
      multiples.emplace_back(zeroBits.size(), unit);
    zeroBits.push_back(isPowerOfTwo ? unit - 1 : 0);
  }
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

kvq_kernel::kvq_kernel(const Device &device, std::string layer, std::string op,
                       std::vector<Variant> made)
    : device(device), layer(std::move(layer)), op(std::move(op)), variants(std::move(made)) {
  const std::vector<ManifestArgument> &args = variants.back().entry->args;
  while (numWithoutScales < variants.size() &&
         variants[numWithoutScales].entry->args.size() == first().entry->args.size())
    ++numWithoutScales;
  for (size_t i = 0; i < args.size(); ++i) {
    if (isPointer(args[i]) && !isNullable(args[i]))
      pointers.push_back(i);
    if (args[i].type == "i32")
      narrow.push_back(i);
  }
  // What an operation walks: tokens, or rows and columns, or the whole cache.
  auto addWork = [&](const char *name) {
    for (size_t i = 0; i < args.size(); ++i)
      if (args[i].name == name && !isPointer(args[i]))
        work.push_back(i);
  };
  for (const char *name : {"num_tokens", "num_rows", "num_columns"})
    addWork(name);
  if (work.empty())
    addWork("num_blocks");
}

kvq_kernel::Choice kvq_kernel::choose(const kvq_value *values, size_t numValues) const noexcept {
  Choice choice = withoutScales();
  for (size_t i = choice.numArguments(); i < numValues; ++i)
    if (values[i].ptr)
      return withScales();
  return choice;
}

bool kvq_kernel::fits(const Variant &variant, const kvq_value *values) const noexcept {
  uint64_t wrong = 0;
  for (size_t i = 0, count = variant.zeroBits.size(); i < count; ++i)
    wrong |= uint64_t(values[i].i64) & variant.zeroBits[i];
  for (const auto &[index, divisor] : variant.multiples)
    wrong |= uint64_t(values[index].i64 % divisor != 0);
  return wrong == 0;
}

int kvq_kernel::computeSizes(const Variant &variant, const kvq_value *values,
                             LaunchPlan &plan) const noexcept {
  // CUDA's limits, and HIP's.
  constexpr int64_t mostBlocks[] = {std::numeric_limits<int32_t>::max(), 65535, 65535};
  constexpr int64_t mostThreads = 1024;
  for (int i = 0; i < 3; ++i) {
    int64_t blocks, threads;
    if (!variant.grid[i].run(values, blocks) || !variant.block[i].run(values, threads))
      return -1;
    if (blocks <= 0 || threads <= 0)
      return 0;
    if (blocks > mostBlocks[i] || threads > mostThreads ||
        uint64_t(blocks) * uint64_t(threads) > device.getMostThreads())
      return -1;
    plan.grid[i] = uint32_t(blocks);
    plan.block[i] = uint32_t(threads);
  }
  plan.function = variant.function;
  plan.sharedBytes = uint32_t(variant.entry->sharedBytes);
  return 1;
}

/// Fails with the text that `describe` gives, which is about this kernel.
template <typename Function>
kvq_status kvq_kernel::refuse(kvq_error *error, kvq_status status, int code,
                              Function describe) const noexcept {
  return guard(error, [&] {
    throw Refusal(status,
                  "layer " + quoteName(layer) + ", op " + quoteName(op) + ": " +
                      std::string(describe()),
                  code);
  });
}

kvq_status kvq_kernel::plan(const kvq_value *values, size_t numValues, LaunchPlan &plan,
                            const Variant *&chosen, kvq_error *error) const noexcept {
  chosen = nullptr;
  bool isCount = numValues == numArguments() || numValues == withoutScales().numArguments();
  if (!isCount || !values)
    return refuse(error, KVQ_ERROR_ARGUMENT, 0, [&] { return describeCount(values, numValues); });
  for (uint32_t index : work)
    if (values[index].i64 <= 0)
      return KVQ_OK;
  const Choice choice = choose(values, numValues);
  const size_t count = choice.numArguments();
  bool wrong = false;
  for (uint32_t index : pointers)
    wrong |= index < count && values[index].ptr == nullptr;
  for (uint32_t index : narrow)
    wrong |= values[index].i64 != int32_t(values[index].i64);
  const Variant *fitting = nullptr;
  for (const Variant *variant = choice.begin; !wrong && !fitting && variant != choice.end;
       ++variant)
    if (fits(*variant, values))
      fitting = variant;
  if (!fitting)
    return refuse(error, KVQ_ERROR_UNFIT, 0, [&] { return describeMisfit(choice, values); });
  int sizes = computeSizes(*fitting, values, plan);
  if (sizes < 0)
    return refuse(error, KVQ_ERROR_UNFIT, 0, [&] { return describeSizes(*fitting, values); });
  if (sizes > 0)
    chosen = fitting;
  return KVQ_OK;
}

kvq_status kvq_kernel::launch(const kvq_value *values, size_t numValues, void *stream,
                              kvq_error *error) const noexcept {
  LaunchPlan launch;
  const Variant *variant;
  kvq_status status = plan(values, numValues, launch, variant, error);
  if (status != KVQ_OK || !variant)
    return status;
  int code = device.launch(launch, values, variant->entry->args.size(), stream);
  if (code == 0)
    return KVQ_OK;
  return refuse(error, KVQ_ERROR_DRIVER, code,
                [&] { return device.describe(device.getLaunchName(), code); });
}

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

std::string kvq_kernel::describeCount(const kvq_value *values, size_t numValues) const {
  std::string text = "expected " + std::to_string(numArguments()) + " values";
  size_t without = withoutScales().numArguments();
  if (without != numArguments())
    text += ", or the first " + std::to_string(without);
  return text + ", but got " + (values ? std::to_string(numValues) : "null");
}

std::string kvq_kernel::describeMisfit(const Choice &choice, const kvq_value *values) const {
  // What the least demanding of the kernels needs.
  const std::vector<ManifestArgument> &args = choice.last().entry->args;
  for (uint32_t index : pointers)
    if (index < args.size() && !values[index].ptr)
      return "expected a pointer for " + quoteName(args[index].name) + ", but got null";
  for (uint32_t index : narrow)
    if (values[index].i64 != int32_t(values[index].i64))
      return "expected 32 bits for " + quoteName(args[index].name) + ", but got " +
             std::to_string(values[index].i64);
  for (size_t i = 0; i < args.size(); ++i) {
    int64_t unit = unitOf(args[i]);
    if (isPointer(args[i])) {
      if (uint64_t(values[i].i64) % uint64_t(unit) == 0)
        continue;
      char address[32];
      snprintf(address, sizeof(address), "%p", values[i].ptr);
      return "expected " + quoteName(args[i].name) + " aligned to " + std::to_string(unit) +
             " bytes, but got " + address;
    }
    if (values[i].i64 % unit != 0)
      return "expected a multiple of " + std::to_string(unit) + " for " + quoteName(args[i].name) +
             ", but got " + std::to_string(values[i].i64);
  }
  // Each argument suits the last kernel, and yet it did not fit: impossible.
  return "expected arguments that fit a kernel";
}

std::string kvq_kernel::describeSizes(const Variant &variant, const kvq_value *values) const {
  const std::vector<ManifestArgument> &args = variant.entry->args;
  std::string given;
  for (size_t i = 0; i < args.size(); ++i)
    if (args[i].name.compare(0, 4, "num_") == 0)
      given += (given.empty() ? "" : ", ") + args[i].name + " = " + std::to_string(values[i].i64);
  return "expected a grid of at most 2147483647 x 65535 x 65535 blocks, but got more (" + given +
         ")";
}

kvq_argument_info kvq_kernel::describeArgument(size_t index) const {
  // Of arguments that all variants have, what is needed without the scales.
  const size_t numShared = withoutScales().numArguments();
  const Variant &variant = index < numShared ? withoutScales().last() : variants.back();
  const ManifestArgument &argument = variant.entry->args[index];
  kvq_argument_info info{};
  info.name = argument.name.c_str();
  info.type = isPointer(argument)      ? KVQ_TYPE_PTR
              : argument.type == "i32" ? KVQ_TYPE_I32
                                       : KVQ_TYPE_I64;
  info.align = isPointer(argument) ? unitOf(argument) : 1;
  info.divisible = isPointer(argument) ? 1 : unitOf(argument);
  info.nullable = isPointer(argument) && (isNullable(argument) || index >= numShared);
  return info;
}
