//===- ChipInfo.h - Questions about chips -----------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The only way to ask about a chip. The answers come from Chips.td; nothing
// else in kvq compares chip names.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_TARGET_CHIPINFO_H
#define KVQ_TARGET_CHIPINFO_H

#include "kvq/Support/Names.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace kvq {

/// Instructions that convert between FP8 and pairs of 16-bit values.
enum class PackedConversions {
  None,
  /// cvt.rn.f16x2.e4m3x2 and cvt.rn.satfinite.e4m3x2.f16x2 (PTX ISA, cvt), and
  /// their kin.
  Halves,
  /// v_cvt_scalef32_pk_{f16,bf16}_fp8 and v_cvt_scalef32_pk_fp8_f16 (CDNA 4 ISA),
  /// and their kin; they do not saturate.
  ScaledPairs,
  /// The same for eight values, v_cvt_scale_pk8_{f16,bf16}_fp8 and
  /// v_cvt_scalef32_pk8_fp8_f16 (LLVM's instructions of gfx1250).
  ScaledEights,
};

/// One chip that kvq compiles for.
struct ChipInfo {
  llvm::StringRef name;
  /// The vendor's name of its family, for documentation only.
  llvm::StringRef family;
  Backend backend;
  /// LLVM target features, comma separated, as TargetMachine takes them; on
  /// the host backend the name of the baseline.
  llvm::StringRef features;
  /// Whether `fp8` means the fnuz formats there, and every scale doubles.
  bool fnuz;
  /// Threads that execute together (a warp, a wavefront); 1 on the host.
  unsigned waveSize;
  /// The widest access of one thread to global memory, in bytes, and the features
  /// that one of more than 16 bytes needs beside the others.
  unsigned maxAccessBytes;
  llvm::StringRef wideFeatures;
  /// How it converts pairs of 16-bit values.
  PackedConversions packedConversions;
  /// Whether one instruction multiplies two bf16 values (as on every GPU two f16
  /// values), multiplies two f32 values, rounds an f32 value to bf16, rounds two
  /// f32 values to f16, and clamps without losing a NaN.
  bool multipliesBF16Pairs, multipliesF32Pairs, roundsToBF16, roundsF16Pairs, clampsNaN;

  /// Whether the chip converts f32 to `format` (to store), or `format` to f16
  /// or f32 (to load), by an instruction of its own.
  bool storesNatively(Fp8Format format) const { return (nativeStore >> unsigned(format)) & 1; }
  bool loadsNatively(Fp8Format format) const { return (nativeLoad >> unsigned(format)) & 1; }

  /// Bit sets over Fp8Format; ask storesNatively and loadsNatively.
  uint8_t nativeStore, nativeLoad;
};

/// Every chip: NVIDIA's, AMD's, then the host, each in natural order.
llvm::ArrayRef<ChipInfo> allChips();

/// The chip called `name`, exactly; null if kvq does not know it.
const ChipInfo *findChip(llvm::StringRef name);

/// As findChip, with the error "unknown chip 'x'; known chips are 'sm_80', …".
llvm::Expected<const ChipInfo *> lookUpChip(llvm::StringRef name);

/// The cache's element format for a kv_cache_dtype other than `auto`: E4M3 for
/// `fp8` and `fp8_e4m3`, E5M2 for `fp8_e5m2`, in the fnuz or the OCP form.
/// `auto` has none.
std::optional<Fp8Format> cacheFormat(KVCacheDtype dtype, bool fnuz);

} // namespace kvq

#endif // KVQ_TARGET_CHIPINFO_H
