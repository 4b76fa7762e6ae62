//===- HostCheck.cpp - Host kernels against the reference -----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HostCheck.h"
#include "HostMaxima.h"
#include "HostMoves.h"
#include "kvq/Artefact/HostCall.h"
#include "kvq/Numerics/FloatEnvironment.h"
#include "kvq/Support/Float32Text.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace kvq;

namespace {

/// One run of a kernel.
class HostRun {
public:
  HostRun(const ManifestKernel &kernel, HostMoves &moves) : kernel(kernel), moves(moves) {}

  llvm::Expected<HostCheck> check(void *function);

private:
  llvm::Error difference(const HostMove &move, unsigned actual, unsigned expected) const;
  llvm::Error failure(const Twine &text) const {
    return llvm::createStringError("kernel " + quoteName(kernel.symbol) + ": " + text);
  }

  const ManifestKernel &kernel;
  HostMoves &moves;
};

} // namespace

std::string kvq::collectArguments(const ManifestKernel &kernel,
                                  const std::map<std::string, int64_t> &arguments,
                                  SmallVectorImpl<int64_t> &values) {
  if (kernel.args.size() > kMaxHostArguments)
    return "it has more than " + std::to_string(kMaxHostArguments) + " arguments";
  for (const ManifestArgument &argument : kernel.args) {
    auto found = arguments.find(argument.name);
    if (found == arguments.end())
      return "the argument " + quoteName(argument.name) + " is not known here";
    int64_t needed =
        argument.type == "ptr" ? argument.align.value_or(1) : argument.divisible.value_or(1);
    if (found->second % needed != 0)
      return quoteName(argument.name) + " must be a multiple of " + std::to_string(needed);
    values.push_back(found->second);
  }
  return "";
}

llvm::Error HostRun::difference(const HostMove &move, unsigned actual, unsigned expected) const {
  unsigned input = moves.inputs[move.from].get(move.fromIndex);
  return failure("the bits 0x" + llvm::utohexstr(input, /*LowerCase=*/true) + " gave 0x" +
                 llvm::utohexstr(actual, true) + ", expected 0x" + llvm::utohexstr(expected, true) +
                 " with the scale " + formatFloat32(moves.scales[move.scale]));
}

llvm::Expected<HostCheck> HostRun::check(void *function) {
  SmallVector<int64_t> values;
  if (std::string why = collectArguments(kernel, moves.arguments, values); !why.empty())
    return HostCheck{0, why};
  // What the kernel must leave as it is, and what it must make of the rest.
  std::vector<HostBuffer> inputsBefore;
  for (const HostBuffer &buffer : moves.inputs)
    inputsBefore.push_back(buffer.copy());
  std::vector<HostBuffer> expected;
  for (const HostBuffer &buffer : moves.outputs())
    expected.push_back(buffer.copy());
  std::vector<unsigned> results = moves.getResults();
  for (auto [move, result] : llvm::zip_equal(moves.moves, results))
    expected[move.to].set(move.toIndex, result);

  callHostKernel(function, reinterpret_cast<const uint64_t *>(values.data()), values.size());

  if (moves.outOfRange != 0)
    return failure("it counts slots beyond the cache where there are none");
  std::vector<HostBuffer> &outputs = moves.outputs();
  for (auto [move, result] : llvm::zip_equal(moves.moves, results)) {
    unsigned actual = outputs[move.to].get(move.toIndex);
    if (actual == result)
      continue;
    if (!moves.isNaN(actual) || !moves.isNaN(result)) {
      if (moves.inPlace)
        moves.inputs = std::move(inputsBefore);
      return difference(move, actual, result);
    }
    // NaN is NaN.
    outputs[move.to].set(move.toIndex, result);
  }
  for (auto [actual, wanted] : llvm::zip_equal(outputs, expected))
    if (!actual.equals(wanted))
      return failure("it writes outside the places that it was told");
  if (!moves.inPlace)
    for (auto [actual, wanted] : llvm::zip_equal(moves.inputs, inputsBefore))
      if (!actual.equals(wanted))
        return failure("it writes into what it was to read");
  return HostCheck{moves.moves.size(), ""};
}

llvm::Expected<HostCheck> kvq::checkHostKernel(const ManifestKernel &kernel, void *function,
                                               MLIRContext &context) {
  FloatEnvironment environment;
  std::string notRun;
  std::optional<KernelSubject> subject = readSubject(kernel, context, notRun);
  if (!subject)
    return HostCheck{0, notRun};
  if (subject->kind == CacheOpKind::ComputeScales)
    return checkMaxima(kernel, *subject, function);
  std::unique_ptr<HostMoves> moves = HostMoves::plan(kernel, *subject, notRun);
  if (!moves)
    return HostCheck{0, notRun};
  return HostRun(kernel, *moves).check(function);
}
