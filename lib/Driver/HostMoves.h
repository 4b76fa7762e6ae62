//===- HostMoves.h - What a host kernel moves in a test ---------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_HOSTMOVES_H
#define KVQ_LIB_DRIVER_HOSTMOVES_H

#include "KernelSubject.h"
#include <map>
#include <memory>

namespace kvq {

/// Aligned memory of elements of 1, 2 or 4 bytes.
class HostBuffer {
public:
  HostBuffer(size_t count, unsigned width);

  void *data() { return start; }
  size_t size() const { return count; }
  unsigned get(size_t index) const;
  void set(size_t index, unsigned bits);
  HostBuffer copy() const;
  bool equals(const HostBuffer &other) const;

private:
  static constexpr size_t alignment = 64;

  std::unique_ptr<char[]> memory;
  char *start;
  size_t count;
  unsigned width;
};

/// One element on its way: which buffer and where, there and here.
struct HostMove {
  unsigned from;
  size_t fromIndex;
  unsigned to;
  size_t toIndex;
  /// Of HostMoves::scales.
  unsigned scale;
};

/// A call of a kernel: its memory, its arguments by name, and what it must do.
/// What is read holds every value; what is written, guard bytes.
class HostMoves {
public:
  /// The call of `kernel`, which is for `subject`, or null and why there is none.
  static std::unique_ptr<HostMoves> plan(const ManifestKernel &kernel, const KernelSubject &subject,
                                         std::string &notRun);

  /// What each move must leave, by the reference.
  std::vector<unsigned> getResults() const;
  /// Whether bits of an output are a NaN.
  bool isNaN(unsigned bits) const;
  std::vector<HostBuffer> &outputs() { return inPlace ? inputs : written; }

  std::vector<HostBuffer> inputs, written;
  /// Whether the inputs are the outputs too.
  bool inPlace = false;
  std::vector<HostMove> moves;
  /// Of the parts, or of the one array of rows; those of a rescale's codes before.
  std::vector<float> scales, oldScales;
  std::map<std::string, int64_t> arguments;
  uint64_t outOfRange = 0;

private:
  friend class HostPlanner;
  HostMoves() = default;

  /// An FP8 format, or the source type.
  struct Element {
    std::optional<Fp8Format> format;
    SourceType source = SourceType::BF16;

    unsigned getBytes() const;
    float decode(unsigned bits) const;
    unsigned encode(float value) const;
  };

  Element from, to;
  /// Twice or half, for a change of families.
  float factor = 1;
  /// What becomes of a value.
  enum class Step { Copy, Divide, Multiply, Factor, Rescale } step = Step::Copy;
  /// Slots, tables and counts, which are arguments by their addresses.
  std::vector<HostBuffer> others;
};

} // namespace kvq

#endif // KVQ_LIB_DRIVER_HOSTMOVES_H
