//===- KvqCacheOps.td - Operations on a paged cache --------*- tablegen -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DIALECT_KVQCACHEOPS_TD
#define KVQ_DIALECT_KVQCACHEOPS_TD

include "kvq/Dialect/KvqElementOps.td"
include "mlir/Dialect/LLVMIR/LLVMOpBase.td"

class Kvq_CacheOp<string opMnemonic>
    : Kvq_Op<opMnemonic, [AttrSizedOperandSegments,
                          MemoryEffects<[MemRead, MemWrite]>,
                          DeclareOpInterfaceMethods<Kvq_ScaledOpInterface>,
                          DeclareOpInterfaceMethods<Kvq_CacheOpInterface>]> {
  let hasCanonicalizeMethod = 1;
  // What is converted follows from the operation's kind.
  let extraClassDefinition = [{
    ::mlir::OperandRange $cppClass::getScaleOperands() {
      return ::kvq::getOperands(*this, ::kvq::ArgumentRole::Scales);
    }
    bool $cppClass::isQuantizing() { return ::kvq::isQuantizing(getKind()); }
    ::mlir::Type $cppClass::getWideElementType() {
      return ::kvq::getWideElementType(getSpec(::kvq::ScalesMode::Fold));
    }
    ::mlir::Type $cppClass::getNarrowElementType() { return getCache().getElement(); }
  }];
}

// Attributes of every cache operation.
defvar Kvq_CacheOpAttrs = (ins
    TypeAttr:$source_type,
    Kvq_CacheAttr:$cache,
    OptionalAttr<Kvq_ArithmeticArrayAttr>:$arithmetic);

class Kvq_SlotOp<string opMnemonic, string preposition> : Kvq_CacheOp<opMnemonic> {
  let arguments = !con((ins
    Variadic<LLVM_AnyPointer>:$rows,
    Variadic<LLVM_AnyPointer>:$caches,
    LLVM_AnyPointer:$slot_mapping,
    I64:$num_tokens,
    I64:$num_blocks,
    Variadic<I64>:$row_strides,
    Variadic<I64>:$cache_strides,
    Optional<LLVM_AnyPointer>:$out_of_range,
    Variadic<Kvq_Scale>:$scales,
    DefaultValuedAttr<Kvq_SlotTypeAttr, "::kvq::SlotType::I64">:$slot_type,
    DefaultValuedAttr<I64Attr, "-1">:$padding_slot,
    DefaultValuedAttr<Kvq_BoundsAttr, "::kvq::Bounds::Check">:$bounds), Kvq_CacheOpAttrs);
  let assemblyFormat = "$rows `" # preposition # "` $caches `at` $slot_mapping " # [{
    (`of` custom<Word>($slot_type)^)? (`padding` $padding_slot^)?
    `tokens` $num_tokens `blocks` $num_blocks
    `strides` `(` $row_strides `)` `,` `(` $cache_strides `)`
    (`scales` `` custom<Scales>($scales, type($scales))^)? (`using` $arithmetic^)?
    (`bounds` custom<Word>($bounds)^)? (`counting` $out_of_range^)?
    attr-dict `:` $source_type `,` $cache `,`
    custom<PointerType>(ref($rows), ref($caches), ref($out_of_range), type($rows), type($caches),
                        type($slot_mapping), type($out_of_range))
  }];
}

def Kvq_CacheStoreOp : Kvq_SlotOp<"cache_store", "into"> {
  let summary = "quantises tokens' keys and values into a paged cache";
  let description = [{
    For each token t below `tokens`, row t of `rows` (K, then V) is quantised as by
    `kvq.quantize` and written to block slot / block_size, row slot % block_size of
    the cache, where slot is element t of the slot mapping. A negative slot
    is skipped; so is one of blocks * block_size or more, unless `bounds` is `off`;
    with `count` it is also added to the u64 that `counting` points to. A slot of
    `padding`, if there is one, is skipped too, for engines that pad to a slot of
    their own. Slots are i64, or what `of` says. Where two
    tokens have one slot, the last wins on the host and either on a GPU. With a
    cache of the source type, bits are copied and there are no scales.

    `strides` are in elements: first those between tokens (the heads of a token are
    compact), then for each cache those between blocks and, where the layout leaves
    them open, between rows and heads.

    A scale is one number, or a vector of one for each KV head; so it is for
    `kvq.cache_load`, `kvq.cache_gather` and `kvq.cache_recode` too.

    ```mlir
    llvm.func @store(%key: !llvm.ptr, %value: !llvm.ptr, %key_cache: !llvm.ptr,
                     %value_cache: !llvm.ptr, %slots: !llvm.ptr, %tokens: i64, %blocks: i64,
                     %row: i64, %block: i64, %page: i64, %head: i64, %k: f32, %v: f32) {
      kvq.cache_store %key, %value into %key_cache, %value_cache at %slots
          tokens %tokens blocks %blocks
          strides (%row, %row), (%block, %page, %head, %block, %page, %head)
          scales (%k, %v)
          : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8,
                   head_size = 128>, !llvm.ptr
      llvm.return
    }
    ```
  }];
}

def Kvq_CacheLoadOp : Kvq_SlotOp<"cache_load", "from"> {
  let summary = "dequantises tokens' keys and values from a paged cache";
  let description = [{
    The other way round of `kvq.cache_store`, with the same operands: row
    slot % block_size of block slot / block_size is dequantised as by
    `kvq.dequantize` and written to row t of `rows`. A skipped slot leaves its row
    untouched.

    ```mlir
    llvm.func @load(%key: !llvm.ptr, %value: !llvm.ptr, %key_cache: !llvm.ptr,
                    %value_cache: !llvm.ptr, %slots: !llvm.ptr, %tokens: i64, %blocks: i64,
                    %row: i64, %block: i64, %page: i64, %head: i64) {
      kvq.cache_load %key, %value from %key_cache, %value_cache at %slots
          tokens %tokens blocks %blocks
          strides (%row, %row), (%block, %page, %head, %block, %page, %head) bounds off
          : bf16, <layout = <nhd>, element = bf16, block_size = 16, kv_heads = 8,
                   head_size = 128>, !llvm.ptr
      llvm.return
    }
    ```
  }];
}

def Kvq_CacheGatherOp : Kvq_CacheOp<"cache_gather"> {
  let summary = "dequantises whole sequences from a paged cache into contiguous rows";
  let description = [{
    Token t below `tokens` belongs to the sequence r with
    cu_seq_lens[r] <= t < cu_seq_lens[r + 1] (`sequences`, i32, `batch` + 1 of them)
    and is its token p = t - cu_seq_lens[r] + starts[r] (`starts`, i32; 0 where the
    pointer is null). Its row of the cache is row p % block_size of block
    block_table[r * `stride` + p / block_size] (`table`, i32), which is dequantised
    as by `kvq.dequantize` into row t of `rows`. A token beyond the last sequence
    leaves its row untouched, and so does, unless `bounds` is `off`, one whose page
    lies beyond the `stride` columns of the table or whose block is no block of the
    cache; with `count` the latter are counted. Work is shared by tokens, whatever
    the lengths of the sequences.

    ```mlir
    llvm.func @gather(%key: !llvm.ptr, %value: !llvm.ptr, %key_cache: !llvm.ptr,
                      %value_cache: !llvm.ptr, %table: !llvm.ptr, %lens: !llvm.ptr,
                      %starts: !llvm.ptr, %batch: i64, %tokens: i64, %blocks: i64,
                      %columns: i64, %row: i64, %block: i64, %k: f32, %v: f32) {
      kvq.cache_gather %key, %value from %key_cache, %value_cache
          table %table stride %columns sequences %lens starts %starts
          batch %batch tokens %tokens blocks %blocks strides (%row, %row), (%block, %block)
          scales (%k, %v)
          : bf16, <layout = <paged>, element = f8E4M3FN, block_size = 16, kv_heads = 8,
                   head_size = 128>, !llvm.ptr
      llvm.return
    }
    ```
  }];
  let arguments = !con((ins
    Variadic<LLVM_AnyPointer>:$rows,
    Variadic<LLVM_AnyPointer>:$caches,
    LLVM_AnyPointer:$block_table,
    LLVM_AnyPointer:$cu_seq_lens,
    LLVM_AnyPointer:$seq_starts,
    I64:$batch,
    I64:$num_tokens,
    I64:$num_blocks,
    I64:$block_table_stride,
    Variadic<I64>:$row_strides,
    Variadic<I64>:$cache_strides,
    Optional<LLVM_AnyPointer>:$out_of_range,
    Variadic<Kvq_Scale>:$scales,
    DefaultValuedAttr<Kvq_BoundsAttr, "::kvq::Bounds::Check">:$bounds), Kvq_CacheOpAttrs);
  let assemblyFormat = [{
    $rows `from` $caches `table` $block_table `stride` $block_table_stride
    `sequences` $cu_seq_lens `starts` $seq_starts
    `batch` $batch `tokens` $num_tokens `blocks` $num_blocks
    `strides` `(` $row_strides `)` `,` `(` $cache_strides `)`
    (`scales` `` custom<Scales>($scales, type($scales))^)? (`using` $arithmetic^)?
    (`bounds` custom<Word>($bounds)^)? (`counting` $out_of_range^)?
    attr-dict `:` $source_type `,` $cache `,`
    custom<GatherPointerType>(ref($rows), ref($caches), ref($out_of_range), type($rows),
                              type($caches), type($block_table), type($cu_seq_lens),
                              type($seq_starts), type($out_of_range))
  }];
}

def Kvq_CacheRecodeOp : Kvq_CacheOp<"cache_recode"> {
  let summary = "writes all of a cache in another code";
  let description = [{
    Every row of every one of `blocks` blocks of one cache becomes that of another:

    | op | from | to |
    |---|---|---|
    | `convert` | the source type | FP8, as by `kvq.quantize` |
    | `convert_back` | FP8 | the source type, as by `kvq.dequantize` |
    | `transcode_to_ocp` | a fnuz format | its OCP partner, as by `kvq.transcode` |
    | `transcode_to_fnuz` | an OCP format | its fnuz partner, as by `kvq.transcode` |
    | `rescale` | FP8 with `from_scales` | the same cache with `scales` |

    A code c of scale s is rescaled to the code of fl32(fl32(c) * s), as by
    `kvq.quantize` from f32. `cache` is the FP8 cache; of a transcoding it is either.
    A layout that depends on the size of an element is followed on both sides.

    ```mlir
    llvm.func @fill(%k: !llvm.ptr, %v: !llvm.ptr, %key_cache: !llvm.ptr,
                    %value_cache: !llvm.ptr, %blocks: i64, %from: i64, %block: i64,
                    %s: f32) {
      kvq.cache_recode convert %k, %v into %key_cache, %value_cache blocks %blocks
          strides (%from, %from), (%block, %block) scales (%s, %s)
          : bf16, <layout = <paged>, element = f8E4M3FN, block_size = 16, kv_heads = 8,
                   head_size = 128>, !llvm.ptr
      llvm.return
    }
    ```
  }];
  let arguments = !con((ins
    Variadic<LLVM_AnyPointer>:$from_caches,
    Variadic<LLVM_AnyPointer>:$caches,
    I64:$num_blocks,
    Variadic<I64>:$from_strides,
    Variadic<I64>:$cache_strides,
    Variadic<F32>:$from_scales,
    Variadic<Kvq_Scale>:$scales,
    Kvq_CacheOpKindAttr:$kind), Kvq_CacheOpAttrs);
  let assemblyFormat = [{
    custom<Word>($kind) custom<CacheLists>($from_caches, $caches) `blocks` $num_blocks
    `strides` custom<StrideLists>($from_strides, $cache_strides)
    (`from_scales` `(` $from_scales^ `)`)?
    (`scales` `` custom<Scales>($scales, type($scales))^)? (`using` $arithmetic^)?
    attr-dict `:` $source_type `,` $cache `,`
    custom<PointerLists>(ref($from_caches), type($from_caches), ref($caches), type($caches))
  }];
}

def Kvq_QuantizeRowsOp : Kvq_CacheOp<"quantize_rows"> {
  let summary = "quantises queries or attention probabilities";
  let description = [{
    Row t below `rows` of the first array is quantised as by `kvq.quantize` into row
    t of the second. A row is `heads` heads of the cache's head size (queries, with
    the q scale) or, with `columns`, as long as that says (probabilities, with the
    prob scale). `strides` are those between rows, in elements.

    ```mlir
    llvm.func @query(%query: !llvm.ptr, %query_fp8: !llvm.ptr, %tokens: i64, %row: i64,
                     %q: f32) {
      kvq.quantize_rows %query into %query_fp8 rows %tokens strides (%row, %row)
          scales (%q) heads 32
          : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8,
                   head_size = 128>, !llvm.ptr
      llvm.return
    }
    ```
  }];
  let arguments = !con((ins
    LLVM_AnyPointer:$rows,
    LLVM_AnyPointer:$out_rows,
    I64:$num_rows,
    Optional<I64>:$num_columns,
    Variadic<I64>:$row_strides,
    Variadic<F32>:$scales,
    DefaultValuedAttr<I64Attr, "0">:$heads), Kvq_CacheOpAttrs);
  let assemblyFormat = [{
    $rows `into` $out_rows `rows` $num_rows (`columns` $num_columns^)?
    `strides` `(` $row_strides `)` `scales` `(` $scales `)` (`using` $arithmetic^)?
    (`heads` $heads^)?
    attr-dict `:` $source_type `,` $cache `,` custom<PointerPair>(type($rows), type($out_rows))
  }];
}

def Kvq_ComputeScalesOp : Kvq_CacheOp<"compute_scales"> {
  let summary = "raises running scales to what rows of queries, keys and values need";
  let description = [{
    For queries, keys and values (of a latent cache its two parts) the float32 that
    `into` points to becomes the maximum of itself and fl32(max|x| / constant) over
    all rows below `tokens`, with an engine's `constants` for q, k and v. What is
    pointed to starts as 0, or as an earlier result. A NaN among x makes it NaN.
    Kernels with scales as arguments read them.

    ```mlir
    llvm.func @calibrate(%query: !llvm.ptr, %key: !llvm.ptr, %value: !llvm.ptr, %q: !llvm.ptr,
                         %k: !llvm.ptr, %v: !llvm.ptr, %tokens: i64, %row: i64) {
      kvq.compute_scales %query, %key, %value into %q, %k, %v tokens %tokens
          strides (%row, %row, %row) heads 32 constants [200.0, 200.0, 100.0]
          : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8,
                   head_size = 128>, !llvm.ptr
      llvm.return
    }
    ```
  }];
  let arguments = !con((ins
    Variadic<LLVM_AnyPointer>:$rows,
    I64:$num_tokens,
    Variadic<I64>:$row_strides,
    Variadic<LLVM_AnyPointer>:$computed_scales,
    I64Attr:$heads,
    DenseF32ArrayAttr:$constants), Kvq_CacheOpAttrs);
  let assemblyFormat = [{
    $rows `into` $computed_scales `tokens` $num_tokens `strides` `(` $row_strides `)`
    `heads` $heads `constants` $constants
    attr-dict `:` $source_type `,` $cache `,`
    custom<PointerLists>(ref($rows), type($rows), ref($computed_scales),
                              type($computed_scales))
  }];
  let hasVerifier = 1;
}

#endif // KVQ_DIALECT_KVQCACHEOPS_TD
