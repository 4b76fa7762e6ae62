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
  /// The widest access of one thread to global memory, in bytes.
  unsigned maxAccessBytes;

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
