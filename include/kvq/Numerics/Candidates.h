//===- Candidates.h - Arithmetic that may stand for a scale -----*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The ways to apply one constant scale that are worth a try, cheapest first on
// the chip at hand. Whether one is right is Proof.h's to show. Every candidate
// for a float32 source is a monotone function of its input, which the proof by
// switch points rests on.
//
// A candidate is a row of the table in Candidates.cpp: the method, how its
// constants follow from the scale, and which steps it takes. What a step costs is
// the chip's to say. Its lowering is LowerFP8.cpp's, by the same steps.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_NUMERICS_CANDIDATES_H
#define KVQ_NUMERICS_CANDIDATES_H

#include "kvq/Numerics/Arithmetic.h"
#include "kvq/Numerics/Formats.h"
#include "llvm/ADT/SmallVector.h"

namespace kvq {

/// How many instructions a chip takes for each step of eight values of one FP8
/// format in one direction. Unsaid, nothing is known of a chip: only what every
/// chip can do is worth a try, and no step is dearer than another.
struct StepCounts {
  /// What no chip takes: the step does not exist there.
  static constexpr unsigned never = 1000;

  /// One number for each source type.
  struct ByType {
    unsigned bf16, f16, f32;
    unsigned operator[](SourceType type) const {
      return type == SourceType::BF16 ? bf16 : type == SourceType::F16 ? f16 : f32;
    }
  };

  /// Codes to values of a type, times a power of two where `decodesScaled` says so.
  ByType decode = {never, never, 4};
  /// Values of a type to codes.
  ByType encode = {never, never, 4};
  /// Products in a type.
  ByType multiply = {never, never, 8};
  /// Values of a type to float32.
  ByType widen = {8, 8, 0};
  /// Float32 to a type, to nearest even, and toward zero.
  ByType narrow = {8, 8, 0};
  ByType truncate = {never, never, never};
  /// A division takes some ten instructions a value.
  unsigned divide = 80;

  /// Integer code gives a value of another exponent, which the multiplication
  /// that follows sets right: 2^(bias of the type - bias of the format) is
  /// multiplied into its constant, and to no scale it is one multiplication.
  bool decodesScaled = false;
  /// A packed conversion takes a power of two to multiply by along.
  bool scalesWhileDecoding = false;
};

/// What a candidate is for.
struct ScaleProblem {
  bool isLoad;
  SourceType source;
  Fp8Format format;
  /// Positive and finite.
  float scale;
  StepCounts counts;
};

struct Candidate {
  Arithmetic arithmetic;
  /// Instructions for eight values.
  unsigned cost;
};

/// Ways to apply the scale, cheapest first; the last is what the contract's
/// formula says, a division for a store and a multiplication for a load. A
/// reciprocal that overflows or is subnormal is not tried, nor is a two_step
/// whose second term vanishes (it would make infinity * 0) or is subnormal.
llvm::SmallVector<Candidate, 8> getCandidates(const ScaleProblem &problem);

/// The exponent of the power of two by which integer code leaves the values of
/// `format` in `type` too small: the difference of the biases.
int getDecodeGap(Fp8Format format, SourceType type);

/// What `arithmetic` makes of `x`, before the last rounding of a load or store.
/// Method::Argument is no function of one number: not a number.
float apply(const Arithmetic &arithmetic, float x);

/// The same for every value of `inputs`.
void apply(const Arithmetic &arithmetic, llvm::ArrayRef<float> inputs,
           llvm::MutableArrayRef<float> results);

/// The bits of `source` that a load with `arithmetic` makes of `code`.
uint32_t applyToCode(const Arithmetic &arithmetic, Fp8Format format, SourceType source,
                     uint8_t code);

} // namespace kvq

#endif // KVQ_NUMERICS_CANDIDATES_H
