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
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <vector>

namespace kvq {

/// One tensor's entry in a header.
struct TensorEntry {
  std::string name;
  /// As written, e.g. 'BF16'; may be one that the format does not have.
  std::string dtype;
  llvm::SmallVector<uint64_t, 4> shape;
  /// Relative to the end of the header.
  uint64_t begin = 0, end = 0;

  /// The product of the shape, which a validated header holds to 64 bits where
  /// the dtype is known.
  uint64_t numElements() const;
};

struct SafetensorsHeader {
  /// In the header's order.
  std::vector<TensorEntry> tensors;
  /// Where the tensors' bytes start in the file.
  uint64_t dataOffset = 0;
  /// Unknown fields and dtypes, which no rule forbids.
  std::vector<std::string> notes;
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
