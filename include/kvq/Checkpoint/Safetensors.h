//===- Safetensors.h - Headers of safetensors files -------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Parses and validates the header: every rule of the format, and where the
// safetensors package is laxer than its own documentation (duplicate names), the
// stricter reading.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_CHECKPOINT_SAFETENSORS_H
#define KVQ_CHECKPOINT_SAFETENSORS_H

#include "kvq/Checkpoint/InputFile.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Allocator.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <vector>

namespace kvq {

/// One tensor's entry in a header, which holds its texts and its shape.
struct TensorEntry {
  llvm::StringRef name;
  /// As written, e.g. 'BF16'; may be one that the format does not have.
  llvm::StringRef dtype;
  llvm::ArrayRef<uint64_t> shape;
  /// Relative to the end of the header.
  uint64_t begin = 0, end = 0;

  /// The product of the shape, which a validated header holds to 64 bits where
  /// the dtype is known.
  uint64_t numElements() const;
  uint64_t numBytes() const { return end - begin; }
};

struct SafetensorsHeader {
  SafetensorsHeader() = default;
  // A copy's entries would refer to what another header holds.
  SafetensorsHeader(SafetensorsHeader &&) = default;
  SafetensorsHeader &operator=(SafetensorsHeader &&) = default;

  /// In the header's order.
  std::vector<TensorEntry> tensors;
  /// Where the tensors' bytes start in the file.
  uint64_t dataOffset = 0;
  /// Unknown fields and dtypes, which no rule forbids.
  std::vector<std::string> notes;
  /// Most headers fit into one slab, which costs a thread less than many.
  using Storage = llvm::BumpPtrAllocatorImpl<llvm::MallocAllocator, 16384>;
  /// Each tensor's place in `tensors`, by its name. Its allocator holds shapes
  /// and unknown dtypes too.
  llvm::StringMap<uint32_t, Storage> places;
};

/// The bits of one element; 0 for a dtype that the format does not have.
unsigned safetensorsBits(llvm::StringRef dtype);

/// Parses the JSON of a header of a file that has `dataSize` bytes behind it.
/// The error does not name the file.
llvm::Expected<SafetensorsHeader> parseSafetensorsHeader(llvm::StringRef json, uint64_t dataSize);

/// Reads the length and the header of `file`, nothing else.
llvm::Expected<SafetensorsHeader> readSafetensorsHeader(InputFile &file);

} // namespace kvq

#endif // KVQ_CHECKPOINT_SAFETENSORS_H
