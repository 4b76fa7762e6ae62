//===- KvqInterfaces.td - What passes ask of kvq ops -------*- tablegen -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DIALECT_KVQINTERFACES_TD
#define KVQ_DIALECT_KVQINTERFACES_TD

include "mlir/IR/OpBase.td"

def Kvq_ScaledOpInterface : OpInterface<"ScaledOpInterface"> {
  let cppNamespace = "::kvq";
  let description = [{
    An op that divides by scales while it quantises, or multiplies with scales
    while it dequantises. `kvq-fold-scales` decides the arithmetic of each scale
    and leaves it in the op's `arithmetic`, an array with an entry a scale; of a
    scale of several numbers the entry is an array with an arithmetic for each.
  }];
  let methods = [
    InterfaceMethod<"The operands that are scales: float32, or vectors of it.",
      "::mlir::OperandRange", "getScaleOperands">,
    InterfaceMethod<"True if values become FP8, false if FP8 becomes values.",
      "bool", "isQuantizing">,
    InterfaceMethod<"The element type on the side that is not FP8.",
      "::mlir::Type", "getWideElementType">,
    InterfaceMethod<"The element type on the FP8 side.",
      "::mlir::Type", "getNarrowElementType">,
    InterfaceMethod<"The arithmetic decided so far; null before folding.",
      "::mlir::ArrayAttr", "getArithmeticAttr">,
    InterfaceMethod<"Sets the arithmetic: for each scale an ArithmeticAttr, or an array of them.",
      "void", "setArithmeticAttr", (ins "::mlir::ArrayAttr":$arithmetic)>,
  ];
  let verify = "return ::kvq::detail::verifyScaledOp($_op);";
}

def Kvq_CacheOpInterface : OpInterface<"CacheOpInterface", [Kvq_ScaledOpInterface]> {
  let cppNamespace = "::kvq";
  let description = [{
    An operation on a paged cache, from which a kernel is made. Its kernel's
    arguments, grid and block are asked here by generation, the manifest, the C
    header and the launcher alike.
  }];
  let methods = [
    InterfaceMethod<"Which operation it is, in options and manifests.",
      "::kvq::CacheOpKind", "getKind">,
    InterfaceMethod<[{
        What its kernel was asked for, from which arguments and threads follow. The
        chip is the module's, or any one where the module has no target yet.
      }],
      "::kvq::CacheKernelSpec", "getSpec", (ins "::kvq::ScalesMode":$scales)>,
    InterfaceMethod<[{
        The index-th group of operands. The groups are the roles of the operation's
        kind, and their operands the kernel's arguments, one for one; only where
        scales are arguments too, the operands are what the pointers point to.
      }],
      "::mlir::OperandRange", "getOperandGroup", (ins "unsigned":$index),
      "", "return $_op.getODSOperands(index);">,
  ];
  let verify = "return ::kvq::detail::verifyCacheOp($_op);";
}

#endif // KVQ_DIALECT_KVQINTERFACES_TD
