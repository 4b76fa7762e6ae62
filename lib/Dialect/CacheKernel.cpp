//===- CacheKernel.cpp - What a cache operation needs of its kernel -------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Dialect/CacheKernel.h"
#include "kvq/Dialect/Kvq.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace kvq;

/// Bytes of an element.
static int64_t byteWidth(Type type) { return type.getIntOrFloatBitWidth() / 8; }

/// The largest power of two of neighbouring elements that both sides can move
/// at once: within a head, within the chip's widest access, and no wider than
/// what pointers and strides are aligned to.
static int64_t getVectorWidth(const ChipInfo &chip, CacheAttr cache, Type sourceType) {
  int64_t widest = std::max(byteWidth(sourceType), byteWidth(cache.getElement()));
  // x86 and AArch64 read unaligned vectors at full speed; GPUs fault on them.
  int64_t bytes = chip.backend == Backend::Host
                      ? int64_t(chip.maxAccessBytes)
                      : std::min<int64_t>(chip.maxAccessBytes, cache.getAlign());
  int64_t headUnit = cache.getHeadSize() & -cache.getHeadSize();
  return std::max<int64_t>(1, std::min(bytes / widest, headUnit));
}

ThreadMapping kvq::getThreadMapping(const ChipInfo &chip, CacheAttr cache, Type sourceType) {
  ThreadMapping mapping;
  mapping.vectorWidth = getVectorWidth(chip, cache, sourceType);
  mapping.vectorsPerRow = cache.getKvHeads() * cache.getHeadSize() / mapping.vectorWidth;
  if (chip.backend == Backend::Host) {
    mapping.tokensPerBlock = 0;
    mapping.blockSize = 1;
    return mapping;
  }
  // Several tokens share a block until it has some 256 threads; a row too long
  // for one block is walked by a loop.
  constexpr int64_t usual = 256, longest = 1024, looping = 512;
  mapping.tokensPerBlock = std::max<int64_t>(1, usual / mapping.vectorsPerRow);
  int64_t threads = mapping.tokensPerBlock * mapping.vectorsPerRow;
  mapping.blockSize = threads > longest ? looping : int64_t(llvm::alignTo(threads, chip.waveSize));
  return mapping;
}

SmallVector<KernelArgument> kvq::getKernelArguments(const CacheKernelSpec &spec, CacheAttr cache,
                                                    Type sourceType) {
  int64_t width = getVectorWidth(spec.chip, cache, sourceType);
  bool unaligned = spec.chip.backend == Backend::Host;
  auto align = [&](Type type) { return (unaligned ? 1 : width) * byteWidth(type); };
  int64_t divisible = unaligned ? 1 : width;
  bool stores = spec.kind == CacheOpKind::Store;

  SmallVector<KernelArgument> arguments;
  auto pointer = [&](StringRef name, ArgumentRole role, bool isWritten, int64_t align) {
    arguments.push_back({name, role, /*isPointer=*/true, isWritten, align});
  };
  auto scalar = [&](StringRef name, ArgumentRole role, int64_t divisible = 1) {
    arguments.push_back(
        {name, role, /*isPointer=*/false, /*isWritten=*/false, /*align=*/0, divisible});
  };
  for (StringRef name : {"key", "value"})
    pointer(name, ArgumentRole::Rows, !stores, align(sourceType));
  for (StringRef name : {"key_cache", "value_cache"})
    pointer(name, ArgumentRole::Caches, stores, align(cache.getElement()));
  pointer("slot_mapping", ArgumentRole::SlotMapping, false, sizeof(int64_t));
  scalar("num_tokens", ArgumentRole::NumTokens);
  scalar("num_blocks", ArgumentRole::NumBlocks);
  for (StringRef name : {"key_stride", "value_stride"})
    scalar(name, ArgumentRole::RowStrides, divisible);
  for (StringRef name : {"key_block_stride", "key_page_stride", "key_head_stride",
                         "value_block_stride", "value_page_stride", "value_head_stride"})
    scalar(name, ArgumentRole::CacheStrides, divisible);
  if (spec.bounds == Bounds::Count)
    pointer("out_of_range", ArgumentRole::OutOfRange, true, sizeof(uint64_t));
  if (spec.scales == ScalesMode::Argument && cache.getFp8Format())
    for (StringRef name : {"k_scale", "v_scale"})
      pointer(name, ArgumentRole::Scales, false, sizeof(float));
  return arguments;
}
