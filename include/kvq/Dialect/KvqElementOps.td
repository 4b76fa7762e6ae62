//===- KvqElementOps.td - Element-wise ops -----------------*- tablegen -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DIALECT_KVQELEMENTOPS_TD
#define KVQ_DIALECT_KVQELEMENTOPS_TD

include "kvq/Dialect/KvqInterfaces.td"
include "kvq/Dialect/KvqModelOps.td"

// The FP8 types that a cache can hold, and the types on the other side.
def Kvq_Fp8 : AnyTypeOf<[F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ]>;
def Kvq_Wide : AnyTypeOf<[BF16, F16, F32]>;

class Kvq_Like<Type element> : AnyTypeOf<[element, FixedVectorOfAnyRank<[element]>]>;

// What upstream's passes for element-wise ops turn into each other.
class Kvq_Mappable<Type element> : AnyTypeOf<[element, FixedVectorOfAnyRank<[element]>, RankedTensorOf<[element]>]>;

// A scale of several numbers has as many, all of one method.
def Kvq_ArithmeticArrayAttr
    : TypedArrayAttrBase<AnyAttrOf<[Kvq_ArithmeticAttr,
                                    TypedArrayAttrBase<Kvq_ArithmeticAttr, "array of arithmetic">]>,
                         "array of arithmetic, one a scale">;

class Kvq_ElementOp<string opMnemonic, Type from, Type to>
    : Kvq_Op<opMnemonic, [Pure, Elementwise, Scalarizable, Vectorizable, Tensorizable,
                          DeclareOpInterfaceMethods<Kvq_ScaledOpInterface>]> {
  let arguments = (ins Kvq_Mappable<from>:$input, Kvq_Mappable<F32>:$scale,
                       OptionalAttr<Kvq_ArithmeticArrayAttr>:$arithmetic);
  let results = (outs Kvq_Mappable<to>:$result);
  let assemblyFormat = [{
    $input `,` $scale (`using` $arithmetic^)? attr-dict `:`
    custom<OperandTypes>(type($input), type($scale)) `to` type($result)
  }];
}

def Kvq_QuantizeOp : Kvq_ElementOp<"quantize", Kvq_Wide, Kvq_Fp8> {
  let summary = "divides by a scale and rounds to FP8";
  let description = [{
    Each element x of `input` becomes

        saturate(round_to_nearest_even(fl32(fl32(x) / scale)))

    in the result's format: the quotient is rounded correctly to float32; what lies
    beyond the largest finite value, infinities included, becomes that value with
    its sign; NaN stays NaN; -0 stays -0 where the format has one. `using` is the
    arithmetic that folding found to give the same bits. The scale is one number, or
    one for each element, as upstream's vectorisation makes of it. Tensors are for
    upstream's passes: `convert-elementwise-to-linalg` and `one-shot-bufferize` turn
    them into loops over scalars.

    ```mlir
    func.func @quantize(%x: vector<8xbf16>, %scale: f32) -> vector<8xf8E4M3FN> {
      %q = kvq.quantize %x, %scale : vector<8xbf16> to vector<8xf8E4M3FN>
      return %q : vector<8xf8E4M3FN>
    }
    ```
  }];
}

def Kvq_DequantizeOp : Kvq_ElementOp<"dequantize", Kvq_Fp8, Kvq_Wide> {
  let summary = "widens FP8 and multiplies with a scale";
  let description = [{
    Each element c of `input` becomes round_to_nearest_even(fl32(fl32(c) * scale))
    in the result's type, not saturated. `using` is the arithmetic that folding
    found to give the same bits. The scale and tensors are as in `kvq.quantize`.

    ```mlir
    func.func @dequantize(%c: vector<8xf8E5M2>, %scale: f32) -> vector<8xf16> {
      %x = kvq.dequantize %c, %scale : vector<8xf8E5M2> to vector<8xf16>
      return %x : vector<8xf16>
    }
    func.func @keys(%c: tensor<2x?x64xf8E4M3FN>, %scale: f32) -> tensor<2x?x64xf32> {
      %k = kvq.dequantize %c, %scale : tensor<2x?x64xf8E4M3FN> to tensor<2x?x64xf32>
      return %k : tensor<2x?x64xf32>
    }
    ```
  }];
}

def Kvq_TranscodeOp : Kvq_Op<"transcode", [Pure, Elementwise]> {
  let summary = "turns codes of an OCP format with scale s into fnuz codes with scale 2s, or back";
  let description = [{
    The same code stands for half the value in the fnuz partner of an OCP format, so
    that with twice the scale it is the same number, and codes stay as they are but
    for what one of the two lacks. Each code becomes what `kvq.quantize` with the new
    scale would make of its value:

    | from OCP | to fnuz | from fnuz | to OCP |
    |---|---|---|---|
    | -0 | 0 | NaN (0x80) | NaN |
    | NaN | NaN (0x80) | beyond the largest finite value | that value with its sign |
    | infinity (E5M2) | the largest value with its sign | | |

    ```mlir
    func.func @transcode(%c: vector<8xf8E4M3FN>) -> vector<8xf8E4M3FNUZ> {
      %t = kvq.transcode %c : vector<8xf8E4M3FN> to vector<8xf8E4M3FNUZ>
      return %t : vector<8xf8E4M3FNUZ>
    }
    ```
  }];
  let arguments = (ins Kvq_Like<Kvq_Fp8>:$input);
  let results = (outs Kvq_Like<Kvq_Fp8>:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `to` type($result)";
  let hasVerifier = 1;
}

#endif // KVQ_DIALECT_KVQELEMENTOPS_TD
