//===- LaunchProgram.cpp - Sizes of grids and blocks ----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LaunchProgram.h"
#include "Refusal.h"
#include "kvq/Json/Quote.h"
#include <algorithm>

using namespace kvq;
using namespace kvq::runtime;
using Kind = LaunchSize::Kind;

LaunchProgram::LaunchProgram(const LaunchSize &size, const std::vector<ManifestArgument> &args) {
  compile(size, args, 0);
}

void LaunchProgram::compile(const LaunchSize &size, const std::vector<ManifestArgument> &args,
                            size_t below) {
  if (below >= kMostValues)
    throw Refusal(KVQ_ERROR_ARTEFACT, "expected a launch size of at most " +
                                          std::to_string(kMostValues) + " sizes within each other");
  switch (size.kind) {
  case Kind::Number:
    steps.push_back({size.kind, size.number});
    return;
  case Kind::Argument: {
    auto found = std::find_if(args.begin(), args.end(), [&](const ManifestArgument &argument) {
      return argument.name == size.argument && argument.type != "ptr";
    });
    if (found == args.end())
      throw Refusal(KVQ_ERROR_ARTEFACT, "expected a launch size of the kernel's numbers, but got " +
                                            quoteName(size.argument));
    steps.push_back({size.kind, found - args.begin()});
    return;
  }
  case Kind::CeilDiv:
  case Kind::Mul:
  case Kind::Min:
  case Kind::Max:
    if (size.operands.size() != 2)
      throw Refusal(KVQ_ERROR_ARTEFACT, "expected two sizes to join");
    compile(size.operands[0], args, below);
    compile(size.operands[1], args, below + 1);
    steps.push_back({size.kind, 0});
    return;
  }
  throw Refusal(KVQ_ERROR_ARTEFACT, "expected a launch size of a known kind");
}

bool LaunchProgram::run(const kvq_value *values, int64_t &result) const noexcept {
  int64_t stack[kMostValues];
  size_t top = 0;
  for (const Step &step : steps) {
    if (step.kind == Kind::Number) {
      stack[top++] = step.operand;
      continue;
    }
    if (step.kind == Kind::Argument) {
      stack[top++] = values[step.operand].i64;
      continue;
    }
    int64_t b = stack[--top], &a = stack[top - 1];
    switch (step.kind) {
    case Kind::CeilDiv:
      if (b <= 0)
        return false;
      a = a / b + (a % b > 0);
      break;
    case Kind::Mul:
      if (__builtin_mul_overflow(a, b, &a))
        return false;
      break;
    case Kind::Min:
      a = std::min(a, b);
      break;
    default:
      a = std::max(a, b);
      break;
    }
  }
  result = stack[0];
  return true;
}
