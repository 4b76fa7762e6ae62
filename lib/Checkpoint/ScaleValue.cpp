//===- ScaleValue.cpp - The numbers of a scale ----------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/ScaleValue.h"
#include "kvq/Support/Float32Text.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"

using namespace llvm;
using namespace kvq;

// Far above any model's heads or channels; a scale of weights is not read.
static constexpr uint64_t maxElements = uint64_t(1) << 20;

static const fltSemantics *semanticsOf(StringRef dtype) {
  if (dtype == "F64")
    return &APFloat::IEEEdouble();
  if (dtype == "F32")
    return &APFloat::IEEEsingle();
  if (dtype == "F16")
    return &APFloat::IEEEhalf();
  if (dtype == "BF16")
    return &APFloat::BFloat();
  return nullptr;
}

static float toFloat32(const fltSemantics &semantics, uint64_t bits) {
  unsigned width = APFloat::getSizeInBits(semantics);
  if (width == 32)
    return bit_cast<float>(uint32_t(bits));
  APFloat value(semantics, APInt(width, bits));
  bool inexact;
  value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &inexact);
  return value.convertToFloat();
}

Expected<CheckpointScale> kvq::readScale(const ShardSet &shards, const StoredTensor &tensor) {
  const TensorEntry &entry = *tensor.entry;
  const fltSemantics *semantics = semanticsOf(entry.dtype);
  if (!semantics)
    return shards.error(tensor, "expected a scale of F32, BF16, F16 or F64, but got " +
                                    quoteName(entry.dtype));
  uint64_t count = entry.numElements();
  if (count == 0)
    return shards.error(tensor, "expected a scale of at least one number, but got none");
  size_t width = APFloat::getSizeInBits(*semantics) / 8;
  Expected<std::string> bytes = shards.readBytes(tensor, maxElements * width);
  if (!bytes)
    return bytes.takeError();
  CheckpointScale scale;
  scale.shape.assign(entry.shape.begin(), entry.shape.end());
  scale.tensor = entry.name.str();
  scale.file = tensor.shard->name;
  scale.values.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t bits = 0;
    for (size_t byte = 0; byte < width; ++byte)
      bits |= uint64_t(uint8_t((*bytes)[i * width + byte])) << (8 * byte);
    scale.values.push_back(toFloat32(*semantics, bits));
  }
  return scale;
}

bool kvq::sameValues(const CheckpointScale &a, const CheckpointScale &b) {
  return a.values.size() == b.values.size() && all_of(zip(a.values, b.values), [](auto pair) {
           return bit_cast<uint32_t>(std::get<0>(pair)) == bit_cast<uint32_t>(std::get<1>(pair));
         });
}

Expected<bool> kvq::isZeroPoint(const ShardSet &shards, const StoredTensor &tensor) {
  Expected<std::string> bytes = shards.readBytes(tensor, maxElements * 8);
  if (!bytes)
    return bytes.takeError();
  return all_of(*bytes, [](char byte) { return byte == 0; });
}

float kvq::roundToSource(float value, SourceType type) {
  if (type == SourceType::F32)
    return value;
  APFloat wide(value);
  bool inexact;
  wide.convert(type == SourceType::BF16 ? APFloat::BFloat() : APFloat::IEEEhalf(),
               APFloat::rmNearestTiesToEven, &inexact);
  wide.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &inexact);
  return wide.convertToFloat();
}

std::string kvq::describeScale(const CheckpointScale &scale) {
  if (scale.values.size() == 1)
    return formatFloat32(scale.values.front());
  std::string text = "[";
  for (auto [index, dim] : enumerate(scale.shape))
    text += (index ? ", " : "") + itostr(dim);
  return text + "]";
}
