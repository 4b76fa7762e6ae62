//===- HostMaxima.cpp - compute_scales against the reference --------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HostMaxima.h"
#include "HostMoves.h"
#include "kvq/Artefact/HostCall.h"
#include "kvq/Dialect/CacheKernel.h"
#include "kvq/Numerics/Reference.h"
#include "kvq/Support/Float32Text.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace kvq;

/// Rows of a call; another one follows that is not to be read.
static constexpr int64_t numTokens = 2;
/// Elements behind each row that are not to be read.
static constexpr int64_t gap = 32;
/// Elements that all calls read together, or calls where that would be too few.
static constexpr int64_t usualWork = int64_t(1) << 31, leastCalls = 4096;

namespace {

/// The rows of a tensor and the scale that comes of them.
struct MaximaPart {
  MaximaPart(int64_t elements, unsigned bytes, unsigned nan, float constant);

  int64_t elements, stride;
  float constant;
  HostBuffer rows, scale;
};

} // namespace

MaximaPart::MaximaPart(int64_t elements, unsigned bytes, unsigned nan, float constant)
    : elements(elements), stride(elements + gap), constant(constant),
      rows(size_t((numTokens + 1) * (elements + gap)), bytes), scale(1, sizeof(float)) {
  for (int64_t i = 0; i < (numTokens + 1) * stride; ++i)
    rows.set(size_t(i), i / stride < numTokens && i % stride < elements ? 0 : nan);
}

static int64_t addressOf(HostBuffer &buffer) {
  return int64_t(reinterpret_cast<uintptr_t>(buffer.data()));
}

/// What the scale that was `start` becomes by the value `bits`.
static float raise(float start, SourceType source, unsigned bits, float constant) {
  float wanted = std::fabs(decode(source, bits)) / constant;
  return wanted <= start ? start : wanted;
}

llvm::Expected<HostCheck> kvq::checkMaxima(const ManifestKernel &kernel,
                                           const KernelSubject &subject, void *function) {
  if (kernel.numHeads == 0)
    return HostCheck{0, kNoQueryHeads};
  if (kernel.scaleConstants.size() != 3)
    return HostCheck{0, "the manifest does not say what it divides maxima by"};
  const unsigned bytes = getBitWidth(subject.source) / 8;
  const unsigned nan = encode(subject.source, std::numeric_limits<float>::quiet_NaN());
  const LayoutNames &names = getLayoutNames(subject.cache.getLayout().isMLA());
  std::vector<std::pair<std::string, int64_t>> tensors = {
      {"query", kernel.numHeads * kernel.headSize}};
  for (const CachePart &part : subject.cache.getParts())
    tensors.emplace_back(names.rows[part.rows].str(), part.heads * part.headSize);

  std::vector<MaximaPart> parts;
  std::map<std::string, int64_t> arguments = {{"num_tokens", numTokens}};
  int64_t numRead = 0;
  for (auto [tensor, constant] : llvm::zip_equal(tensors, kernel.scaleConstants)) {
    const auto &[name, elements] = tensor;
    if (elements > kMaxTestElements)
      return HostCheck{0, "its rows are too large for a test"};
    MaximaPart &part = parts.emplace_back(elements, bytes, nan, constant.second);
    arguments[name] = addressOf(part.rows);
    arguments[name + "_stride"] = part.stride;
    arguments[constant.first + "_scale"] = addressOf(part.scale);
    numRead += numTokens * elements;
  }
  SmallVector<int64_t> values;
  if (std::string why = collectArguments(kernel, arguments, values); !why.empty())
    return HostCheck{0, why};

  const int64_t calls = std::min(countTestValues(bytes), std::max(leastCalls, usualWork / numRead));
  HostCheck check;
  for (int64_t call = 0; call < calls; ++call) {
    // Some scales are there before.
    const float start = call % 3 ? 0.0f : float(call % 1024) * 0x1p-6f;
    auto bitsOf = [&](size_t part) { return unsigned(testValueAt(call + 5 * part, bytes)); };
    auto placeOf = [&](const MaximaPart &part) {
      int64_t place = call * 7919 % (numTokens * part.elements);
      return size_t(place / part.elements * part.stride + place % part.elements);
    };
    for (auto [index, part] : llvm::enumerate(parts)) {
      part.rows.set(placeOf(part), bitsOf(index));
      part.scale.set(0, llvm::bit_cast<uint32_t>(start));
    }
    callHostKernel(function, reinterpret_cast<const uint64_t *>(values.data()), values.size());
    for (auto [index, part] : llvm::enumerate(parts)) {
      part.rows.set(placeOf(part), 0);
      const float actual = llvm::bit_cast<float>(part.scale.get(0));
      const float expected = raise(start, subject.source, bitsOf(index), part.constant);
      ++check.numValues;
      if (actual == expected || (std::isnan(actual) && std::isnan(expected)))
        continue;
      return llvm::createStringError("kernel " + quoteName(kernel.symbol) + ": the bits 0x" +
                                     llvm::utohexstr(bitsOf(index), /*LowerCase=*/true) + " in " +
                                     quoteName(tensors[index].first) + " raised the scale " +
                                     formatFloat32(start) + " to " + formatFloat32(actual) +
                                     ", expected " + formatFloat32(expected));
    }
  }
  for (auto [tensor, part] : llvm::zip_equal(tensors, parts))
    if (!part.rows.equals(MaximaPart(part.elements, bytes, nan, part.constant).rows))
      return llvm::createStringError("kernel " + quoteName(kernel.symbol) +
                                     ": it writes into what it was to read");
  return check;
}
