//===- Formats.h - The four FP8 formats -------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the rest of the compiler may want to know of an FP8 format, and its
// values. The values are those of llvm::APFloat.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_NUMERICS_FORMATS_H
#define KVQ_NUMERICS_FORMATS_H

#include "kvq/Support/Names.h"

namespace llvm {
struct fltSemantics;
}

namespace kvq {

/// One FP8 format: a sign bit, the exponent, then the mantissa.
struct Fp8Info {
  Fp8Format format;
  unsigned exponentBits, mantissaBits;
  /// A normal number is 2^(exponent field - bias) * 1.mantissa.
  int bias;
  float maxFinite;
  /// The code of `maxFinite`; codes of larger magnitude are infinities or NaNs.
  uint8_t maxFiniteCode;
  /// The NaN that kvq writes: the one of NVIDIA's conversions in the OCP
  /// formats, the only one in the fnuz formats.
  uint8_t nanCode;
  bool hasInfinity, hasNegativeZero;
  /// The same mantissa in the other family: same codes, about half or twice the value.
  Fp8Format partner;
  /// Whether it is one of AMD's formats with neither infinities nor -0.
  bool isFnuz() const { return !hasNegativeZero; }
};

/// The facts about `format`.
const Fp8Info &getInfo(Fp8Format format);

/// llvm::APFloat's description of `format`.
const llvm::fltSemantics &getSemantics(Fp8Format format);

/// The format of a fnuz chip that stands for the OCP format `format`; a fnuz
/// format stands for itself.
Fp8Format getFnuzFormat(Fp8Format format);

/// The 256 values of `format` by code; float32 holds them exactly.
llvm::ArrayRef<float> getDecodeTable(Fp8Format format);

/// The value of one code.
inline float decode(Fp8Format format, uint8_t code) { return getDecodeTable(format)[code]; }

} // namespace kvq

#endif // KVQ_NUMERICS_FORMATS_H
