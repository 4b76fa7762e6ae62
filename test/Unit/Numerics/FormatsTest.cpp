//===- FormatsTest.cpp - The facts about the FP8 formats ------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Numerics/Formats.h"
#include "llvm/ADT/APFloat.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace kvq;
using llvm::APFloat;

TEST(Formats, TableIsInTheOrderOfTheEnumeration) {
  for (Fp8Format format : allValues<Fp8Format>())
    EXPECT_EQ(getInfo(format).format, format);
}

TEST(Formats, FactsAreThoseOfAPFloat) {
  for (Fp8Format format : allValues<Fp8Format>()) {
    const Fp8Info &info = getInfo(format);
    const llvm::fltSemantics &semantics = getSemantics(format);
    SCOPED_TRACE(stringify(format).str());
    EXPECT_EQ(info.mantissaBits + 1, APFloat::semanticsPrecision(semantics));
    EXPECT_EQ(info.exponentBits + info.mantissaBits + 1, APFloat::semanticsSizeInBits(semantics));
    EXPECT_EQ(1 - info.bias, APFloat::semanticsMinExponent(semantics));
    EXPECT_EQ(info.maxFinite, APFloat::getLargest(semantics).convertToFloat());
    EXPECT_EQ(info.maxFiniteCode, APFloat::getLargest(semantics).bitcastToAPInt().getZExtValue());
    EXPECT_EQ(info.hasInfinity, APFloat::semanticsHasInf(semantics));
    EXPECT_EQ(info.maxFinite, decode(format, info.maxFiniteCode));
    EXPECT_TRUE(std::isnan(decode(format, info.nanCode)));
    EXPECT_EQ(info.hasNegativeZero,
              decode(format, 0x80) == 0.0f && std::signbit(decode(format, 0x80)));
  }
}

TEST(Formats, PartnersAreMutualAndDifferInFamily) {
  for (Fp8Format format : allValues<Fp8Format>()) {
    const Fp8Info &info = getInfo(format);
    EXPECT_EQ(getInfo(info.partner).partner, format);
    EXPECT_EQ(getInfo(info.partner).mantissaBits, info.mantissaBits);
    EXPECT_NE(getInfo(info.partner).isFnuz(), info.isFnuz());
    EXPECT_TRUE(getInfo(getFnuzFormat(format)).isFnuz());
    EXPECT_EQ(getInfo(getFnuzFormat(format)).mantissaBits, info.mantissaBits);
  }
}
