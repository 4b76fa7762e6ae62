//===- Candidates.cpp - Arithmetic that may stand for a scale -------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Numerics/Candidates.h"
#include <algorithm>
#include <cmath>
#include <limits>

namespace kvq {

// A division is a sequence of some ten instructions on a GPU.
static constexpr unsigned costNone = 0, costMultiply = 1, costTwoStep = 2, costDivide = 10;

/// 1/scale rounded toward zero. The double's own rounding cannot reach the next
/// float32: 1/s is either one or, relative to it, at least 2^-48 away from all.
static float getReciprocalTowardZero(float scale) {
  double exact = 1.0 / scale;
  float rounded = static_cast<float>(exact);
  return rounded > exact ? std::nextafter(rounded, 0.0f) : rounded;
}

llvm::SmallVector<Candidate, 4> getStoreCandidates(float scale) {
  llvm::SmallVector<Candidate, 4> candidates;
  if (scale == 1.0f)
    candidates.push_back({{Method::None, 1.0f, 0.0f}, costNone});
  float reciprocal = 1.0f / scale;
  if (std::isnormal(reciprocal))
    candidates.push_back({{Method::Multiply, reciprocal, 0.0f}, costMultiply});
  float high = getReciprocalTowardZero(scale);
  // s * high has at most 48 bits, so the rest is exact before it is divided.
  float low = static_cast<float>((1.0 - double(scale) * high) / scale);
  if (std::isnormal(reciprocal) && std::isnormal(high) && std::isnormal(low) && low > 0.0f)
    candidates.push_back({{Method::TwoStep, high, low}, costTwoStep});
  candidates.push_back({{Method::Divide, scale, 0.0f}, costDivide});
  return candidates;
}

llvm::SmallVector<Candidate, 4> getLoadCandidates(float scale) {
  llvm::SmallVector<Candidate, 4> candidates;
  if (scale == 1.0f)
    candidates.push_back({{Method::None, 1.0f, 0.0f}, costNone});
  candidates.push_back({{Method::Multiply, scale, 0.0f}, costMultiply});
  return candidates;
}

void apply(const Arithmetic &arithmetic, llvm::ArrayRef<float> inputs,
           llvm::MutableArrayRef<float> results) {
  const float *in = inputs.data();
  float *out = results.data();
  const size_t n = inputs.size();
  const float a = arithmetic.a, b = arithmetic.b;
  switch (arithmetic.method) {
  case Method::None:
    std::copy(in, in + n, out);
    return;
  case Method::Multiply:
    for (size_t i = 0; i != n; ++i)
      out[i] = in[i] * a;
    return;
  case Method::TwoStep:
    for (size_t i = 0; i != n; ++i) {
      float rest = in[i] * b;
      out[i] = std::fma(in[i], a, rest);
    }
    return;
  case Method::Divide:
    for (size_t i = 0; i != n; ++i)
      out[i] = in[i] / a;
    return;
  case Method::MultiplyPacked:
  case Method::Argument:
    break;
  }
  std::fill(out, out + n, std::numeric_limits<float>::quiet_NaN());
}

float apply(const Arithmetic &arithmetic, float x) {
  float result;
  apply(arithmetic, llvm::ArrayRef<float>(x), llvm::MutableArrayRef<float>(result));
  return result;
}

} // namespace kvq
