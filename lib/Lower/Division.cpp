//===- Division.cpp - Quotients that become FP8 codes ---------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Division.h"
#include "VectorPieces.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace kvq;

// Between these bounds a quotient is a number of some FP8 format: above, all of
// them saturate; below, all round to zero, and the first estimate has its sign.
static constexpr float kLeastQuotient = 0x1p-20, kGreatestQuotient = 0x1p16;

// Scales between these bounds leave an exact remainder of such a quotient: its last
// bit is at least 2^-80 · 2^-20 · 2^-46, and nothing overflows. Others, and the
// values with them, are multiplied by a power of two that brings them there; a value
// that this takes out of float32 has a quotient that saturates, or rounds to zero.
static constexpr float kLeastScale = 0x1p-80, kGreatestScale = 0x1p100;
static constexpr float kUp = 0x1p96, kDown = 0x1p-96;

/// The quotients of values by a scale of which `reciprocal` is the rounded
/// reciprocal; all are vectors.
static Value divideByNewton(ImplicitLocOpBuilder &builder, Value values, Value scale,
                            Value reciprocal) {
  Value minusScale = arith::NegFOp::create(builder, scale);
  Value estimate = arith::MulFOp::create(builder, values, reciprocal), quotient = estimate;
  for (int step = 0; step < 2; ++step) {
    Value remainder = LLVM::FMAOp::create(builder, minusScale, quotient, values);
    quotient = LLVM::FMAOp::create(builder, remainder, reciprocal, quotient);
  }
  // Infinities and NaN have no remainder, and zeros would lose their sign. Without
  // its sign a float32 is in the order of its bits, so one comparison serves.
  const uint32_t least = llvm::bit_cast<uint32_t>(kLeastQuotient) << 1,
                 greatest = llvm::bit_cast<uint32_t>(kGreatestQuotient) << 1;
  auto i32 = builder.getI32Type();
  auto bound = [&](uint32_t bits) { return splat(builder, getLength(values), i32, bits); };
  Value bits = castTo(builder, estimate, i32);
  Value size = arith::ShLIOp::create(builder, bits, bound(1));
  Value aboveLeast = arith::AddIOp::create(builder, size, bound(-least));
  Value isBetween = arith::CmpIOp::create(builder, arith::CmpIPredicate::ult, aboveLeast,
                                          bound(greatest - least));
  return arith::SelectOp::create(builder, isBetween, quotient, estimate);
}

Value kvq::divideForFp8(ImplicitLocOpBuilder &builder, Value values, Value scale) {
  auto type = cast<VectorType>(values.getType());
  auto broadcast = [&](Value number) {
    return vector::BroadcastOp::create(builder, type, number).getResult();
  };
  auto constant = [&](float number) {
    return arith::ConstantOp::create(builder, builder.getF32FloatAttr(number)).getResult();
  };
  auto isBelow = [&](Value a, Value b) {
    return arith::CmpFOp::create(builder, arith::CmpFPredicate::OLT, a, b).getResult();
  };
  // Of a scale that is a constant nothing of this is left.
  Value size = arith::MaximumFOp::create(builder, scale, arith::NegFOp::create(builder, scale));
  Value down = arith::SelectOp::create(builder, isBelow(constant(kGreatestScale), size),
                                       constant(kDown), constant(1.0f));
  Value factor =
      arith::SelectOp::create(builder, isBelow(size, constant(kLeastScale)), constant(kUp), down);
  scale = arith::MulFOp::create(builder, scale, factor);
  values = arith::MulFOp::create(builder, values, broadcast(factor));
  Value reciprocal = arith::DivFOp::create(builder, constant(1.0f), scale);
  return divideByNewton(builder, values, broadcast(scale), broadcast(reciprocal));
}
