//===- Fp8Lowering.h - A way to convert between floats and FP8 --*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_LOWER_FP8LOWERING_H
#define KVQ_LIB_LOWER_FP8LOWERING_H

#include "kvq/Target/ChipInfo.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include <memory>

namespace kvq {

/// Converts one-dimensional vectors between floats and FP8 codes. Every way
/// converts from and to float32; some convert 16-bit floats too.
class Fp8Lowering {
public:
  virtual ~Fp8Lowering() = default;

  /// Whether `encode` takes values of `type`.
  virtual bool encodes(Fp8Format format, mlir::Type type) const { return type.isF32(); }

  /// vector<Nxtype> to vector<Nxi8>: nearest even, saturating (infinities too),
  /// NaN to NaN.
  virtual mlir::Value encode(mlir::ImplicitLocOpBuilder &builder, mlir::Value values,
                             Fp8Format format) const = 0;

  /// Whether `decode` gives values of `type` times `factor`.
  virtual bool decodes(Fp8Format format, mlir::Type type, float factor) const {
    return type.isF32();
  }

  /// vector<Nxi8> to vector<Nxtype>: each code's value times `factor`, rounded to
  /// nearest even in `type`.
  virtual mlir::Value decode(mlir::ImplicitLocOpBuilder &builder, mlir::Value codes,
                             Fp8Format format, mlir::Type type, float factor) const = 0;
};

/// Integer code and float additions, for every chip and format; `isHost` for a
/// chip that has no arithmetic on 16-bit floats.
std::unique_ptr<Fp8Lowering> createSoftFp8Lowering(bool isHost);

/// cvt.rn.satfinite.{e4m3x2,e5m2x2}.{f32,f16x2} and back to f16x2 (PTX ISA, cvt).
std::unique_ptr<Fp8Lowering> createNvvmFp8Lowering();

/// v_cvt_pk_{fp8,bf8}_f32 and v_cvt_pk_f32_{fp8,bf8} (MI300, CDNA 4 and RDNA 4
/// ISA), and what else `chip` has; the chip decides whether they mean the fnuz or
/// the OCP formats.
std::unique_ptr<Fp8Lowering> createRocdlFp8Lowering(const ChipInfo &chip);

/// vector<Nxi8> of codes of `from` to those of its partner `to`, as
/// `kvq.transcode` says.
mlir::Value transcode(mlir::ImplicitLocOpBuilder &builder, mlir::Value codes, Fp8Format from,
                      Fp8Format to);

} // namespace kvq

#endif // KVQ_LIB_LOWER_FP8LOWERING_H
