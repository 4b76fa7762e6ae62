//===- Division.cpp - Quotients that become FP8 codes ---------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Division.h"
#include "VectorPieces.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace kvq;

// Between these bounds a quotient is a number of some FP8 format: above, all of
// them saturate; below, all round to zero, and the first estimate has its sign.
static constexpr float kLeastQuotient = 0x1p-20, kGreatestQuotient = 0x1p16;

// Scales for which the remainder of such a quotient is exact: its last bit is at
// least 2^-80 · 2^-20 · 2^-46, and nothing overflows.
static constexpr float kLeastScale = 0x1p-80, kGreatestScale = 0x1p100;

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
  if (FloatAttr known; matchPattern(scale, m_Constant(&known))) {
    const float number = known.getValue().convertToFloat();
    if (!(number >= kLeastScale && number <= kGreatestScale))
      return arith::DivFOp::create(builder, values, broadcast(scale));
    return divideByNewton(builder, values, broadcast(scale), broadcast(constant(1.0f / number)));
  }
  Value isLarge =
      arith::CmpFOp::create(builder, arith::CmpFPredicate::OGE, scale, constant(kLeastScale));
  Value isSmall =
      arith::CmpFOp::create(builder, arith::CmpFPredicate::OLE, scale, constant(kGreatestScale));
  auto choice = scf::IfOp::create(builder, type, arith::AndIOp::create(builder, isLarge, isSmall),
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(choice.thenBlock());
  Value reciprocal = arith::DivFOp::create(builder, constant(1.0f), scale);
  scf::YieldOp::create(builder,
                       divideByNewton(builder, values, broadcast(scale), broadcast(reciprocal)));
  builder.setInsertionPointToStart(choice.elseBlock());
  Value quotient = arith::DivFOp::create(builder, values, broadcast(scale));
  scf::YieldOp::create(builder, quotient);
  return choice.getResult(0);
}
