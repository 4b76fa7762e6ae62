//===- Division.h - Quotients that become FP8 codes -------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_LOWER_DIVISION_H
#define KVQ_LIB_LOWER_DIVISION_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace kvq {

/// Float32 values (a vector of rank 1) over `scale`, any one float32, for a GPU: what
/// has the FP8 code of the quotient rounded to float32, in every format.
///
/// One reciprocal serves all values, each of which then takes two steps of
/// Newton's method: with y = RN(1/s), q within an ulp of x/s and the remainder
/// x - s·q exact, RN(q + y·(x - s·q)) is RN(x/s) (P. Markstein, IBM Journal of
/// Research and Development 34(1), 1990; proven in Russinoff's Formal Verification
/// of Floating-Point Hardware Design, 13.1). A division by itself costs each value
/// a reciprocal of its own, a check and a branch.
mlir::Value divideForFp8(mlir::ImplicitLocOpBuilder &builder, mlir::Value values,
                         mlir::Value scale);

} // namespace kvq

#endif // KVQ_LIB_LOWER_DIVISION_H
