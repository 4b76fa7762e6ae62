//===- HostMoves.cpp - What a host kernel moves in a test -----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HostMoves.h"
#include "kvq/Numerics/Reference.h"
#include <cstring>

using namespace kvq;

//===----------------------------------------------------------------------===//
// HostBuffer
//===----------------------------------------------------------------------===//

static constexpr char guard = char(0xa5);

HostBuffer::HostBuffer(size_t count, unsigned width)
    : memory(new char[count * width + alignment]), count(count), width(width) {
  size_t misalignment = reinterpret_cast<uintptr_t>(memory.get()) % alignment;
  start = memory.get() + (alignment - misalignment) % alignment;
  std::memset(memory.get(), guard, count * width + alignment);
}

unsigned HostBuffer::get(size_t index) const {
  uint32_t bits = 0;
  std::memcpy(&bits, start + index * width, width);
  return bits;
}

void HostBuffer::set(size_t index, unsigned bits) {
  uint32_t value = bits;
  std::memcpy(start + index * width, &value, width);
}

HostBuffer HostBuffer::copy() const {
  HostBuffer other(count, width);
  std::memcpy(other.start, start, count * width);
  return other;
}

bool HostBuffer::equals(const HostBuffer &other) const {
  return std::memcmp(start, other.start, count * width) == 0;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

unsigned HostMoves::Element::getBytes() const { return format ? 1 : getBitWidth(source) / 8; }

float HostMoves::Element::decode(unsigned bits) const {
  return format ? kvq::decode(*format, uint8_t(bits)) : kvq::decode(source, bits);
}

unsigned HostMoves::Element::encode(float value) const {
  return format ? kvq::encode(*format, value) : kvq::encode(source, value);
}

bool HostMoves::isNaN(unsigned bits) const {
  // Copied bits are the same bits.
  return step != Step::Copy && std::isnan(to.decode(bits));
}

std::vector<unsigned> HostMoves::getResults() const {
  std::vector<unsigned> results(moves.size());
  std::vector<float> wide(moves.size());
  for (auto [move, result, value] : llvm::zip_equal(moves, results, wide)) {
    unsigned bits = inputs[move.from].get(move.fromIndex);
    result = bits;
    value = from.decode(bits);
    switch (step) {
    case Step::Copy:
      break;
    case Step::Divide:
      value = value / scales[move.scale];
      break;
    case Step::Multiply:
      value = value * scales[move.scale];
      break;
    case Step::Factor:
      value = value * factor;
      break;
    case Step::Rescale: {
      float exact = value * oldScales[move.scale];
      value = exact / scales[move.scale];
      break;
    }
    }
  }
  if (step == Step::Copy)
    return results;
  if (to.format) {
    std::vector<uint8_t> codes(wide.size());
    encode(*to.format, wide, codes);
    llvm::copy(codes, results.begin());
    return results;
  }
  for (auto [result, value] : llvm::zip_equal(results, wide))
    result = to.encode(value);
  return results;
}
