//===- Candidates.cpp - Arithmetic that may stand for a scale -------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Numerics/Candidates.h"
#include "kvq/Numerics/Reference.h"
#include <algorithm>
#include <cmath>
#include <limits>

namespace kvq {

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

using Constants = std::optional<Arithmetic>;

static Constants makeNone(const ScaleProblem &problem) {
  if (problem.scale != 1.0f)
    return std::nullopt;
  return Arithmetic{Method::None, 1.0f, 0.0f};
}

/// What a store multiplies by.
static Constants makeReciprocal(const ScaleProblem &problem) {
  float reciprocal = 1.0f / problem.scale;
  if (!std::isnormal(reciprocal))
    return std::nullopt;
  return Arithmetic{Method::Multiply, reciprocal, 0.0f};
}

/// 1/scale rounded toward zero. The double's own rounding cannot reach the next
/// float32: 1/s is either one or, relative to it, at least 2^-48 away from all.
static float getReciprocalTowardZero(float scale) {
  double exact = 1.0 / scale;
  float rounded = static_cast<float>(exact);
  return rounded > exact ? std::nextafter(rounded, 0.0f) : rounded;
}

static Constants makeTwoStep(const ScaleProblem &problem) {
  float high = getReciprocalTowardZero(problem.scale);
  // s * high has at most 48 bits, so the rest is exact before it is divided.
  float low = static_cast<float>((1.0 - double(problem.scale) * high) / problem.scale);
  if (!std::isnormal(1.0f / problem.scale) || !std::isnormal(high) || !std::isnormal(low) ||
      low <= 0.0f)
    return std::nullopt;
  return Arithmetic{Method::TwoStep, high, low};
}

static Constants makeDivision(const ScaleProblem &problem) {
  return Arithmetic{Method::Divide, problem.scale, 0.0f};
}

static Constants makeProduct(const ScaleProblem &problem) {
  return Arithmetic{Method::Multiply, problem.scale, 0.0f};
}

/// A factor whose products, rounded toward zero, are the reference's, rounded to
/// nearest: a little more than the scale. A format has 4 or 8 significands, each
/// of which bounds it on both sides; the proof sees to the rest.
static Constants makeTruncatingProduct(const ScaleProblem &problem) {
  double least = 0.0, beyond = std::numeric_limits<double>::infinity();
  for (float value : getDecodeTable(problem.format)) {
    if (!(value > 0.0f) || !std::isfinite(value))
      continue;
    uint32_t bits = encode(problem.source, value * problem.scale);
    least = std::max(least, double(decode(problem.source, bits)) / value);
    beyond = std::min(beyond, double(decode(problem.source, bits + 1)) / value);
  }
  if (!(least < beyond) || !std::isfinite(beyond))
    return std::nullopt;
  // The scale itself where that does: products that are exact.
  double middle = problem.scale >= least && problem.scale < beyond ? double(problem.scale)
                                                                   : (least + beyond) / 2;
  return Arithmetic{Method::Multiply, float(middle), 0.0f};
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// Whether the conversion itself multiplies by this power of two.
static bool isFreeFactor(const ScaleProblem &problem, const Arithmetic &arithmetic) {
  int exponent;
  return problem.isLoad && problem.counts.scalesWhileDecoding &&
         arithmetic.method == Method::MultiplyPacked && std::frexp(arithmetic.a, &exponent) == 0.5f;
}

static unsigned countSourceToCodes(const StepCounts &counts, SourceType source) {
  return std::min(counts.encode[source], counts.widen[source] + counts.encode.f32);
}

/// Instructions for eight values: the source's in a store, the codes in a load.
static unsigned countInstructions(const ScaleProblem &problem, const Arithmetic &arithmetic) {
  const StepCounts &counts = problem.counts;
  const SourceType source = problem.source;
  const bool isPacked = arithmetic.method == Method::MultiplyPacked;
  unsigned multiplied = 0;
  switch (arithmetic.method) {
  case Method::None:
    break;
  case Method::Multiply:
  case Method::MultiplyPacked:
    multiplied = isFreeFactor(problem, arithmetic) ? 0 : counts.multiply[arithmetic.in];
    break;
  case Method::TwoStep:
    multiplied = 2 * counts.multiply.f32;
    break;
  case Method::Divide:
  case Method::Argument:
    multiplied = counts.divide;
    break;
  }
  if (!problem.isLoad) {
    if (isPacked || arithmetic.method == Method::None)
      return multiplied + countSourceToCodes(counts, source);
    return counts.widen[source] + multiplied + counts.encode.f32;
  }
  const StepCounts::ByType &narrow = arithmetic.truncates ? counts.truncate : counts.narrow;
  const SourceType in = arithmetic.in;
  // Integer code goes to float32 through float16.
  const SourceType decoded = in == SourceType::BF16 ? in : SourceType::F16;
  const bool isCorrected = arithmetic.method == Method::None && counts.decodesScaled &&
                           getDecodeGap(problem.format, decoded) != 0;
  return counts.decode[in] + (isCorrected ? counts.multiply[in] : 0) + multiplied +
         (in == source ? 0 : counts.widen[in] + narrow[source]);
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

namespace {
struct CandidateRow {
  enum Direction { Store, Load };
  Direction direction;
  Method method;
  /// The constants, or none where the scale has none.
  Constants (*makeConstants)(const ScaleProblem &problem);
  /// The type that is computed in; the source's 16-bit type if unsaid.
  std::optional<SourceType> in;
  /// Whether a load's last rounding is toward zero.
  bool truncates;
  /// What the contract's formula says.
  bool isReference = false;
};
} // namespace

// Of two that cost the same the first is tried first.
static constexpr CandidateRow rows[] = {
    {CandidateRow::Store, Method::None, makeNone, SourceType::F32, false},
    {CandidateRow::Store, Method::Multiply, makeReciprocal, SourceType::F32, false},
    {CandidateRow::Store, Method::MultiplyPacked, makeReciprocal, {}, false},
    {CandidateRow::Store, Method::TwoStep, makeTwoStep, SourceType::F32, false},
    {CandidateRow::Store, Method::Divide, makeDivision, SourceType::F32, false, true},

    {CandidateRow::Load, Method::None, makeNone, {}, false},
    {CandidateRow::Load, Method::None, makeNone, SourceType::F32, false},
    {CandidateRow::Load, Method::None, makeNone, SourceType::F32, true},
    {CandidateRow::Load, Method::Multiply, makeTruncatingProduct, SourceType::F32, true},
    {CandidateRow::Load, Method::MultiplyPacked, makeProduct, SourceType::BF16, false},
    {CandidateRow::Load, Method::MultiplyPacked, makeProduct, SourceType::F16, false},
    {CandidateRow::Load, Method::Multiply, makeProduct, SourceType::F32, false, true},
};

int getDecodeGap(Fp8Format format, SourceType type) {
  return (type == SourceType::F16 ? 15 : 127) - getInfo(format).bias;
}

/// Whether `value` is one of `type`, and no subnormal one.
static bool isNormalIn(SourceType type, float value) {
  float smallest = type == SourceType::F16 ? 0x1p-14f : 0x1p-126f;
  return decode(type, encode(type, value)) == value && std::isfinite(value) && value >= smallest;
}

/// The row's arithmetic where the problem has it.
static Constants instantiate(const CandidateRow &row, const ScaleProblem &problem) {
  if ((row.direction == CandidateRow::Load) != problem.isLoad)
    return std::nullopt;
  Constants arithmetic = row.makeConstants(problem);
  if (!arithmetic)
    return std::nullopt;
  arithmetic->method = row.method;
  arithmetic->truncates = row.truncates;
  arithmetic->in = row.in.value_or(problem.source);
  if (row.in == SourceType::F32)
    return arithmetic;
  if (arithmetic->in == SourceType::F32)
    return std::nullopt;
  float constant = problem.isLoad && problem.counts.decodesScaled
                       ? std::ldexp(arithmetic->a, getDecodeGap(problem.format, arithmetic->in))
                       : arithmetic->a;
  if (!isNormalIn(arithmetic->in, constant) || !isNormalIn(arithmetic->in, arithmetic->a))
    return std::nullopt;
  return arithmetic;
}

llvm::SmallVector<Candidate, 8> getCandidates(const ScaleProblem &problem) {
  llvm::SmallVector<Candidate, 8> candidates;
  auto isCheaper = [](const Candidate &a, const Candidate &b) { return a.cost < b.cost; };
  for (const CandidateRow &row : rows)
    if (Constants arithmetic = instantiate(row, problem)) {
      Candidate candidate{*arithmetic, countInstructions(problem, *arithmetic)};
      bool isReference = row.isReference;
      // The reference is the last of its rows: what costs as much has nothing to give,
      // but for no arithmetic, which is easier to read.
      if (isReference)
        llvm::erase_if(candidates, [&](const Candidate &c) {
          return c.cost > candidate.cost ||
                 (c.cost == candidate.cost && c.arithmetic.method != Method::None);
        });
      candidates.insert(isReference ? candidates.end()
                                    : llvm::upper_bound(candidates, candidate, isCheaper),
                        candidate);
    }
  return candidates;
}

//===----------------------------------------------------------------------===//
// What they compute
//===----------------------------------------------------------------------===//

/// `x` rounded to nearest even in a 16-bit type. The way through float32 must
/// not round first: what it cannot hold is made odd, so that it is no tie.
static float roundTo(SourceType type, double x) {
  float near = static_cast<float>(x);
  if (near != x && std::isfinite(near)) {
    float other = std::nextafter(near, x > near ? INFINITY : -INFINITY);
    bool isOdd = (encode(SourceType::F32, near) & 1) != 0;
    near = isOdd ? near : other;
  }
  return decode(type, encode(type, near));
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
  case Method::MultiplyPacked:
    for (size_t i = 0; i != n; ++i)
      out[i] = roundTo(arithmetic.in, double(roundTo(arithmetic.in, in[i])) * a);
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

/// `value` rounded toward zero in `type`; no finite value becomes an infinity.
static uint32_t truncate(SourceType type, float value) {
  uint32_t bits = encode(type, value);
  float rounded = decode(type, bits);
  bool isFurther = std::fabs(rounded) > std::fabs(value);
  return isFurther ? bits - 1 : bits;
}

uint32_t applyToCode(const Arithmetic &arithmetic, Fp8Format format, SourceType source,
                     uint8_t code) {
  float value = apply(arithmetic, decode(format, code));
  return arithmetic.truncates ? truncate(source, value) : encode(source, value);
}

} // namespace kvq
