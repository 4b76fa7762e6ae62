//===- KvqDialect.td - The kvq dialect ---------------------*- tablegen -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DIALECT_KVQDIALECT_TD
#define KVQ_DIALECT_KVQDIALECT_TD

include "mlir/IR/OpBase.td"

def Kvq_Dialect : Dialect {
  let name = "kvq";
  let cppNamespace = "::kvq";
  let summary = "Scales and cache operations of a large language model's FP8 KV cache";
  let description = [{
    The dialect holds what a checkpoint says of its KV cache, and the kernels
    that are made from it.

    - `kvq.attention` is one attention layer: its geometry and its scales, as the
      checkpoint gives them and, after `kvq-resolve-scales`, as an engine uses
      them. It is metadata and computes nothing.
    - `kvq.scale` reads one resolved scale as a value, in any function.
    - `kvq.cache_store` and `kvq.cache_load` move tokens between rows and a paged
      cache.
    - `kvq.quantize` and `kvq.dequantize` are the element-wise steps.

    The stages between a checkpoint and machine code differ in which of these
    ops are left:

    ```mlir
    module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
      kvq.attention @model.layers.0.self_attn index 0
          geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8
          checkpoint(k = 0.5, v = 0.25) resolved(q = 1.0, k = 0.5, v = 0.25, prob = 1.0)
      func.func @scaled(%x: f32) -> f32 {
        %scale = kvq.scale @model.layers.0.self_attn, k
        %y = arith.mulf %x, %scale : f32
        return %y : f32
      }
    }
    ```

    A module serves one target, the module attribute `kvq.target`.
    `kvq-resolve-scales` sets it; later passes read it. The module attribute
    `kvq.checkpoint` says where the layers came from: a dictionary of `format`,
    `model_type`, `sha256`, `notes` and `unused`.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    /// The module attribute that names the target.
    static constexpr ::llvm::StringLiteral kTargetAttrName = "kvq.target";
    /// The module attribute that says where the layers came from.
    static constexpr ::llvm::StringLiteral kCheckpointAttrName = "kvq.checkpoint";

    void registerAttributes();
  }];
}

#endif // KVQ_DIALECT_KVQDIALECT_TD
