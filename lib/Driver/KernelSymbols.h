//===- KernelSymbols.h - Kernels that a code object holds -------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_KERNELSYMBOLS_H
#define KVQ_LIB_DRIVER_KERNELSYMBOLS_H

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <optional>
#include <vector>

namespace kvq {

/// What a code object says of a kernel; only what its form tells.
struct KernelSymbol {
  /// The sizes of the arguments in bytes, in order.
  std::optional<std::vector<int64_t>> argumentSizes;
  /// Threads of a block at most.
  std::optional<int64_t> maxThreads;
};

/// The kernels, or functions, in a code object that may be damaged.
struct KernelSymbols {
  llvm::StringMap<KernelSymbol> kernels;
  /// For what chip it is, if it tells: 'sm_90', 'gfx942'. Of a shared object
  /// 'host', unless it is for another machine than this one.
  std::string chip;
};

/// Looks into PTX.
llvm::Expected<KernelSymbols> readPTX(llvm::StringRef text);

/// Looks into a cubin, an hsaco or a shared object, told apart by the machine
/// that they are for.
llvm::Expected<KernelSymbols> readElf(llvm::StringRef bytes);

} // namespace kvq

#endif // KVQ_LIB_DRIVER_KERNELSYMBOLS_H
