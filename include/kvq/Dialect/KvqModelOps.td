//===- KvqModelOps.td - Ops that describe a model ----------*- tablegen -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DIALECT_KVQMODELOPS_TD
#define KVQ_DIALECT_KVQMODELOPS_TD

include "kvq/Dialect/KvqAttrs.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Kvq_Op<string opMnemonic, list<Trait> traits = []> : Op<Kvq_Dialect, opMnemonic, traits>;

// A raw scale: one number, or as many as the checkpoint's tensor has.
def Kvq_RawScaleAttr
    : Attr<CPred<"::kvq::isRawScale($_self)">, "a float32 number or a dense float32 tensor"> {
  let storageType = "::mlir::Attribute";
  let returnType = "::mlir::Attribute";
  let convertFromStorage = "$_self";
}

def Kvq_AttentionOp : Kvq_Op<"attention", [Symbol]> {
  let summary = "one attention layer that owns a KV cache";
  let description = [{
    A layer's geometry, the element type of its keys and values (`source`), what
    an engine keeps in its cache (`cache`), and its scales: what the checkpoint
    says (`checkpoint`, an absent scale simply absent; a scale of several numbers
    a dense tensor) and, once `kvq-resolve-scales` has run, what an engine makes
    of it on the module's target (`resolved`, always all four; k and v are tensors
    of a number for each KV head where scales are taken per head).

    `warnings` and `notes` are the texts that resolution gave this layer, and
    `kernels` names the kernels that `kvq-generate-kernels` made for it.

    The op is metadata: it computes nothing, and `kvq-fold-scales` erases it.

    ```mlir
    module attributes {kvq.target = #kvq.target<chip = "gfx942", fnuz = true>} {
      kvq.attention @model.layers.0.self_attn index 0
          geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8
          checkpoint(k = 0.5, v = 0.25) resolved(q = 1.0, k = 1.0, v = 0.5, prob = 1.0)
      kvq.attention @model.layers.1.self_attn index 1 cache fp8 calculate_kv_scales
          checkpoint(k = dense<0.5> : tensor<8x1x1xf32>)
    }
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    ConfinedAttr<I64Attr, [IntNonNegative]>:$index,
    OptionalAttr<Kvq_GeometryAttr>:$geometry,
    OptionalAttr<TypeAttr>:$source_type,
    Kvq_KVCacheDtypeAttr:$kv_cache_dtype,
    OptionalAttr<Kvq_LayoutAttr>:$layout,
    UnitAttr:$calculate_kv_scales,
    OptionalAttr<Kvq_RawScaleAttr>:$raw_q,
    OptionalAttr<Kvq_RawScaleAttr>:$raw_k,
    OptionalAttr<Kvq_RawScaleAttr>:$raw_v,
    OptionalAttr<Kvq_RawScaleAttr>:$raw_prob,
    OptionalAttr<F32Attr>:$resolved_q,
    OptionalAttr<Kvq_RawScaleAttr>:$resolved_k,
    OptionalAttr<Kvq_RawScaleAttr>:$resolved_v,
    OptionalAttr<F32Attr>:$resolved_prob,
    OptionalAttr<StrArrayAttr>:$warnings,
    OptionalAttr<StrArrayAttr>:$notes,
    OptionalAttr<DictionaryAttr>:$kernels);
  let assemblyFormat = [{
    $sym_name `index` $index (`geometry` $geometry^)? (`source` $source_type^)?
    `cache` custom<Word>($kv_cache_dtype) (`layout` $layout^)? (`calculate_kv_scales` $calculate_kv_scales^)?
    (`checkpoint` `` custom<RawScales>($raw_q, $raw_k, $raw_v, $raw_prob)^)?
    (`resolved` `` custom<ResolvedScales>($resolved_q, $resolved_k, $resolved_v,
                                          $resolved_prob)^)?
    attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The scale that the checkpoint gives, null if it gives none.
    ::mlir::Attribute getRawScale(::kvq::ScaleKind kind);
    void setRawScale(::kvq::ScaleKind kind, ::mlir::Attribute scale);

    /// The resolved scale, null before resolution: a float32 number or, of k and
    /// v, a tensor of a number for each KV head.
    ::mlir::Attribute getResolvedScale(::kvq::ScaleKind kind);
    void setResolvedScale(::kvq::ScaleKind kind, ::mlir::Attribute scale);

    /// Whether `kvq-resolve-scales` has run.
    bool isResolved() { return static_cast<bool>(getResolvedKAttr()); }
  }];
}

// A scale as a value: one number, or one for each KV head.
def Kvq_Scale : AnyTypeOf<[F32, VectorOfRankAndType<[1], [F32]>]>;

def Kvq_ScaleOp : Kvq_Op<"scale", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "reads a resolved scale of a layer";
  let description = [{
    The float32 value of one of a layer's scales, or the vector of those of its KV
    heads where the resolved scale is per head. `layer` is a `kvq.attention` of
    the nearest symbol table; the op stands in any function, so that another
    compiler's module can hold `kvq.attention` beside its own model.
    `kvq-fold-scales` replaces it with a constant.

    ```mlir
    kvq.attention @layer index 0 cache fp8
        checkpoint(k = 0.5, v = 0.25) resolved(q = 1.0, k = 0.5, v = 0.25, prob = 1.0)
    func.func @softmax_factor(%factor: f32) -> f32 {
      %k_scale = kvq.scale @layer, k
      %scaled = arith.mulf %factor, %k_scale : f32
      return %scaled : f32
    }

    kvq.attention @per_head index 1 cache fp8
        resolved(q = 1.0, k = dense<[0.5, 0.25]> : tensor<2xf32>, v = 0.25, prob = 1.0)
    func.func @key_scales() -> vector<2xf32> {
      %k_scales = kvq.scale @per_head, k : vector<2xf32>
      return %k_scales : vector<2xf32>
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$layer, Kvq_ScaleKindAttr:$kind);
  let results = (outs Kvq_Scale:$result);
  let assemblyFormat = "$layer `,` custom<Word>($kind) attr-dict `` custom<ScaleType>(type($result))";
}

#endif // KVQ_DIALECT_KVQMODELOPS_TD
