//===- Reference.h - What store and load mean, value by value ---*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The contract's two formulas, which every kernel on every target must equal
// bit for bit:
//
//   store: code  = saturate(round_to_nearest_even(fl32(fl32(x) / scale)))
//   load:  value = round_to_nearest_even_T(fl32(fl32(code) * scale))
//
// A store puts what lies beyond the largest finite value, and an infinity, at
// that value with its sign; a load does not saturate. Of a NaN only that it is
// one counts: here it is always the same, positive one.
//
// Bits of a source type stand in the low bits of a uint32_t. All of it wants
// the default floating-point environment (FloatEnvironment.h).
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_NUMERICS_REFERENCE_H
#define KVQ_NUMERICS_REFERENCE_H

#include "kvq/Numerics/Formats.h"

namespace kvq {

/// The size of a value of `type`: 16 or 32.
unsigned getBitWidth(SourceType type);

/// The value of `bits`, exactly.
float decode(SourceType type, uint32_t bits);

/// `value` rounded to nearest even in `type`, beyond its range an infinity.
uint32_t encode(SourceType type, float value);

/// `value` rounded to nearest even in `format` and saturated.
uint8_t encode(Fp8Format format, float value);

/// The code of every value of `values`, as encode gives it.
void encode(Fp8Format format, llvm::ArrayRef<float> values, llvm::MutableArrayRef<uint8_t> codes);

/// What a store with `scale` writes for the source value `bits`.
uint8_t storeReference(SourceType source, Fp8Format format, float scale, uint32_t bits);

/// What a load with `scale` makes of `code`.
uint32_t loadReference(Fp8Format format, SourceType source, float scale, uint8_t code);

} // namespace kvq

#endif // KVQ_NUMERICS_REFERENCE_H
