//===- Formats.cpp - The four FP8 formats ---------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Numerics/Formats.h"
#include "llvm/ADT/APFloat.h"
#include <array>

using llvm::APFloat;

namespace kvq {

// In the order of Fp8Format, which a test holds.
static constexpr Fp8Info infos[] = {
    {Fp8Format::E4M3FN, 4, 3, 7, 448.0f, 0x7E, 0x7F, false, true, Fp8Format::E4M3FNUZ},
    {Fp8Format::E4M3FNUZ, 4, 3, 8, 240.0f, 0x7F, 0x80, false, false, Fp8Format::E4M3FN},
    {Fp8Format::E5M2, 5, 2, 15, 57344.0f, 0x7B, 0x7F, true, true, Fp8Format::E5M2FNUZ},
    {Fp8Format::E5M2FNUZ, 5, 2, 16, 57344.0f, 0x7F, 0x80, false, false, Fp8Format::E5M2},
};

const Fp8Info &getInfo(Fp8Format format) { return infos[unsigned(format)]; }

const llvm::fltSemantics &getSemantics(Fp8Format format) {
  switch (format) {
  case Fp8Format::E4M3FN:
    return APFloat::Float8E4M3FN();
  case Fp8Format::E4M3FNUZ:
    return APFloat::Float8E4M3FNUZ();
  case Fp8Format::E5M2:
    return APFloat::Float8E5M2();
  case Fp8Format::E5M2FNUZ:
    break;
  }
  return APFloat::Float8E5M2FNUZ();
}

Fp8Format getFnuzFormat(Fp8Format format) {
  const Fp8Info &info = getInfo(format);
  return info.isFnuz() ? format : info.partner;
}

namespace {
struct DecodeTables {
  std::array<std::array<float, 256>, std::size(infos)> values;

  DecodeTables() {
    for (const Fp8Info &info : infos)
      for (unsigned code = 0; code != 256; ++code) {
        APFloat value(getSemantics(info.format), llvm::APInt(8, code));
        values[unsigned(info.format)][code] = value.convertToFloat();
      }
  }
};
} // namespace

llvm::ArrayRef<float> getDecodeTable(Fp8Format format) {
  static const DecodeTables tables;
  return tables.values[unsigned(format)];
}

} // namespace kvq
