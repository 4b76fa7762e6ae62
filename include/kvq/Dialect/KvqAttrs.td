//===- KvqAttrs.td - Attributes of the kvq dialect ---------*- tablegen -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DIALECT_KVQATTRS_TD
#define KVQ_DIALECT_KVQATTRS_TD

include "kvq/Dialect/KvqDialect.td"
include "mlir/IR/AttrTypeBase.td"

class Kvq_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Kvq_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

//===----------------------------------------------------------------------===//
// Words of kvq/Support/Names.def
//===----------------------------------------------------------------------===//

// A parameter whose values are the cases of an enumeration of Names.def, read and
// written by custom<Name>, whose diagnostic lists the cases.
class Kvq_NameParameter<string enum, string desc> : AttrParameter<"::kvq::" # enum, desc>;

// An attribute that is one such word; ops print it bare, by custom<Word>.
class Kvq_NameAttr<string enum, string attrMnemonic> : Kvq_Attr<enum, attrMnemonic> {
  let parameters = (ins Kvq_NameParameter<enum, "the word">:$value);
  let assemblyFormat = "`<` custom<Name>($value) `>`";
  let constBuilderCall = "::kvq::" # enum # "Attr::get($_builder.getContext(), $0)";
  let convertFromStorage = "$_self.getValue()";
  let returnType = "::kvq::" # enum;
}

def Kvq_KVCacheDtypeAttr : Kvq_NameAttr<"KVCacheDtype", "kv_cache_dtype"> {
  let summary = "an engine's kv_cache_dtype";
  let description = [{
    What an engine is told to keep in its cache: `auto` (the source type), `fp8`,
    `fp8_e4m3` or `fp8_e5m2`. Which FP8 format that is depends on the chip.

    ```mlir
    kvq.attention @layer index 0 cache fp8_e5m2
    ```
  }];
}

def Kvq_ScaleKindAttr : Kvq_NameAttr<"ScaleKind", "scale_kind"> {
  let summary = "which of a layer's scales";
  let description = [{
    `q`, `k`, `v` or `prob` (the attention probabilities).

    ```mlir
    kvq.attention @layer index 0 cache fp8
    %scale = kvq.scale @layer, prob
    ```
  }];
}

def Kvq_BoundsAttr : Kvq_NameAttr<"Bounds", "bounds"> {
  let summary = "what a kernel does with slots beyond the cache";
  let description = [{
    `check` skips them, `count` also counts them, `off` trusts the caller.
    Negative slots are skipped in all three.

    ```mlir
    func.func private @kernel() attributes {bounds = #kvq.bounds<count>}
    ```
  }];
}

def Kvq_SlotTypeAttr : Kvq_NameAttr<"SlotType", "slot_type"> {
  let summary = "the integers of a slot mapping";
  let description = [{
    `i64`, as vLLM has them, or `i32`.

    ```mlir
    func.func private @kernel() attributes {slots = #kvq.slot_type<i32>}
    ```
  }];
}

def Kvq_CacheOpKindAttr : Kvq_NameAttr<"CacheOpKind", "op_kind"> {
  let summary = "an operation, by its name in options and manifests";
  let description = [{
    The names of the option `ops` of `kvq-generate-kernels`.

    ```mlir
    func.func private @kernel() attributes {op = #kvq.op_kind<rescale>}
    ```
  }];
}

//===----------------------------------------------------------------------===//
// Targets, geometry, caches
//===----------------------------------------------------------------------===//

def Kvq_TargetAttr : Kvq_Attr<"Target", "target"> {
  let summary = "the chip that a module is compiled for";
  let description = [{
    `chip` is a name of the chip table. `fnuz` says whether `fp8` means the fnuz
    formats; it is the chip's own fact, except on the host, whose kernels can
    stand in for either kind.

    ```mlir
    module attributes {kvq.target = #kvq.target<chip = "gfx942", fnuz = true>} {}
    ```
  }];
  let parameters = (ins
    StringRefParameter<"a name of the chip table">:$chip,
    DefaultValuedParameter<"bool", "false">:$fnuz);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The chip's row; the verifier has seen to it that there is one.
    const ::kvq::ChipInfo &getChipInfo() const;
  }];
}

def Kvq_GeometryAttr : Kvq_Attr<"Geometry", "geometry"> {
  let summary = "the sizes of a layer's attention";
  let description = [{
    Query heads, KV heads and the elements of a head, before tensor parallelism.
    For multi-head latent attention `kv_lora_rank` and `qk_rope_head_dim` are the
    two parts of the one row that a token has.

    ```mlir
    kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> cache fp8
    kvq.attention @mla index 1 geometry <heads = 128, kv_heads = 1, head_size = 576,
        kv_lora_rank = 512, qk_rope_head_dim = 64> cache fp8
    ```
  }];
  let parameters = (ins
    AttrParameter<"int64_t", "query heads">:$heads,
    AttrParameter<"int64_t", "heads of K and V">:$kv_heads,
    AttrParameter<"int64_t", "elements of a head">:$head_size,
    DefaultValuedParameter<"int64_t", "0">:$kv_lora_rank,
    DefaultValuedParameter<"int64_t", "0">:$qk_rope_head_dim);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Kvq_LayoutAttr : Kvq_Attr<"Layout", "layout"> {
  let summary = "where a row, a head and an element lie inside a block";
  let description = [{
    The order in which a block is compact, and so what neighbouring threads
    touch, as affine maps from (row, head, element) to the block's dimensions,
    outermost first: one for K and V, or one for each. The usual layouts have
    names; x is 16 bytes of cache elements, R the rank of the latent part.

    | name | K | V |
    |---|---|---|
    | `nhd` | `(n, h, d) -> (n, h, d)` | the same |
    | `hnd` | `(n, h, d) -> (h, n, d)` | the same |
    | `paged` | `(n, h, d) -> (h, d floordiv x, n, d mod x)` | `(n, h, d) -> (h, d, n)` |
    | `paged_interleaved` | as `paged` | `(n, h, d) -> (h, n floordiv x, d, n mod x)` |
    | `mla` | `(n, h, d) -> (n, d)`, the latent part and the rope part in one row | none |
    | `mla_segmented` | all rows' latent parts `(n, d)`, then all rows' rope parts | none |

    A block of `nhd`, `hnd` and `mla` need not be compact: its strides are operands.
    A map's results are what is left of dimensions by `floordiv` and `mod` with
    constants, and together they tell every element apart.

    ```mlir
    func.func private @kernel() attributes {
        named = #kvq.layout<nhd>,
        pairs = #kvq.layout<affine_map<(n, h, d) -> (h, d floordiv 2, n, d mod 2)>>,
        apart = #kvq.layout<key = affine_map<(n, h, d) -> (h, n, d)>,
                            value = affine_map<(n, h, d) -> (h, d, n)>>}
    ```
  }];
  let parameters = (ins
    AttrParameter<"::std::optional<::kvq::LayoutKind>", "its name; none with maps">:$kind,
    AttrParameter<"::mlir::AffineMap", "the map of K; null with a name">:$key,
    AttrParameter<"::mlir::AffineMap", "the map of V; null with a name">:$value);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let builders = [
    AttrBuilder<(ins "::kvq::LayoutKind":$kind), [{
      return $_get($_ctxt, kind, ::mlir::AffineMap(), ::mlir::AffineMap());
    }]>
  ];
  let extraClassDeclaration = [{
    /// Its name, or its maps, for manifests and messages.
    ::std::string getText() const;

    /// Whether a token has one row of a latent and a rope part, and no V.
    bool isMLA() const;
  }];
}

def Kvq_CacheAttr : Kvq_Attr<"Cache", "cache"> {
  let summary = "what a cache holds and how";
  let description = [{
    The geometry of one tensor-parallel rank's cache of K or V: blocks of
    `block_size` rows, each of `kv_heads` heads of `head_size` elements of type
    `element`, arranged by `layout`. `align` is the number of bytes that pointers
    and strides are multiples of, as far as a kernel makes use of it. For
    multi-head latent attention `kv_lora_rank` is how many of the elements are the
    latent part; the others are the rope part.

    ```mlir
    func.func private @kernel() attributes {
        cache = #kvq.cache<layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8,
                           head_size = 128>,
        latent = #kvq.cache<layout = <mla>, element = f8E4M3FN, block_size = 64, kv_heads = 1,
                            head_size = 576, kv_lora_rank = 512>}
    ```
  }];
  let parameters = (ins
    AttrParameter<"::kvq::LayoutAttr", "the order inside a block">:$layout,
    AttrParameter<"::mlir::Type", "an FP8 type, or bf16, f16, f32">:$element,
    AttrParameter<"int64_t", "rows of a block">:$block_size,
    AttrParameter<"int64_t", "heads of a row">:$kv_heads,
    AttrParameter<"int64_t", "elements of a head">:$head_size,
    DefaultValuedParameter<"int64_t", "0">:$kv_lora_rank,
    DefaultValuedParameter<"int64_t", "CacheAttr::usualAlign">:$align);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// `align` unless another is asked for: the widest access of most chips.
    static constexpr int64_t usualAlign = 16;

    /// The FP8 format of `element`, if it is one.
    ::std::optional<::kvq::Fp8Format> getFp8Format() const;

    /// K and V, or the two parts of a latent row.
    ::llvm::SmallVector<::kvq::CachePart, 2> getParts() const;

    /// The same cache of another element type.
    ::kvq::CacheAttr withElement(::mlir::Type element) const;
  }];
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

def Kvq_ArithmeticAttr : Kvq_Attr<"Arithmetic", "arithmetic"> {
  let summary = "the arithmetic chosen for a constant scale, and what showed it right";
  let description = [{
    Written by `kvq-fold-scales`. `none` leaves the value alone, `multiply(a)` is
    x·a, `two_step(a, b)` is fma(x, a, x·b), `divide(a)` is x / a, all in float32;
    `multiply_packed(a) in f16` or `in bf16` is x·a in that type, two values an
    instruction, and `none in f16` or `in bf16` a load that goes through no other
    type. A load's last rounding is to nearest even, or with `truncated`
    toward zero, `a` being chosen so that this gives the same bits.
    `tried` counts the inputs that were put through the arithmetic and compared
    with the reference: all of a 16-bit source type, all codes for a load, or, with
    `by switch_points`, the two inputs on either side of every switch point of the
    reference and the special values, which decide for all float32 inputs.

    ```mlir
    func.func private @kernel() attributes {
        a = #kvq.arithmetic<multiply(4.0), tried 65536>,
        b = #kvq.arithmetic<two_step(43.4587822, 1.06581410e-14), tried 514 by switch_points>,
        c = #kvq.arithmetic<multiply_packed(0.375) in f16, tried 256>,
        d = #kvq.arithmetic<multiply(0.0231) truncated, tried 256>,
        e = #kvq.arithmetic<none in bf16, tried 256>}
    ```
  }];
  let parameters = (ins
    Kvq_NameParameter<"Method", "what is computed">:$method,
    APFloatParameter<"the first constant, float32">:$a,
    APFloatParameter<"the second constant, float32">:$b,
    Kvq_NameParameter<"SourceType", "the type that is computed in">:$in,
    AttrParameter<"bool", "whether a load's last rounding is toward zero">:$truncates,
    AttrParameter<"uint64_t", "how many inputs were tried">:$tried,
    AttrParameter<"bool", "whether switch points were compared">:$by_switch_points);
  let hasCustomAssemblyFormat = 1;
}

#endif // KVQ_DIALECT_KVQATTRS_TD
