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

class Kvq_CacheOp<string opMnemonic, string preposition>
    : Kvq_Op<opMnemonic, [AttrSizedOperandSegments,
                          MemoryEffects<[MemRead, MemWrite]>,
                          DeclareOpInterfaceMethods<Kvq_ScaledOpInterface>,
                          DeclareOpInterfaceMethods<Kvq_CacheOpInterface>]> {
  let arguments = (ins
    Variadic<LLVM_AnyPointer>:$rows,
    Variadic<LLVM_AnyPointer>:$caches,
    LLVM_AnyPointer:$slot_mapping,
    I64:$num_tokens,
    I64:$num_blocks,
    Variadic<I64>:$row_strides,
    Variadic<I64>:$cache_strides,
    Optional<LLVM_AnyPointer>:$out_of_range,
    Variadic<F32>:$scales,
    TypeAttr:$source_type,
    Kvq_CacheAttr:$cache,
    DefaultValuedAttr<Kvq_BoundsAttr, "::kvq::Bounds::Check">:$bounds,
    OptionalAttr<Kvq_ArithmeticArrayAttr>:$arithmetic);
  let assemblyFormat = "$rows `" # preposition # "` $caches `at` $slot_mapping " # [{
    `tokens` $num_tokens `blocks` $num_blocks
    `strides` `(` $row_strides `)` `,` `(` $cache_strides `)`
    (`scales` `(` $scales^ `)`)? (`using` $arithmetic^)?
    (`bounds` custom<Word>($bounds)^)? (`counting` $out_of_range^)?
    attr-dict `:` $source_type `,` $cache `,`
    custom<PointerType>(ref($rows), ref($caches), ref($out_of_range), type($rows), type($caches),
                        type($slot_mapping), type($out_of_range))
  }];
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def Kvq_CacheStoreOp : Kvq_CacheOp<"cache_store", "into"> {
  let summary = "quantises tokens' keys and values into a paged cache";
  let description = [{
    For each token t below `tokens`, row t of `rows` (K, then V) is quantised as by
    `kvq.quantize` and written to block slot / block_size, row slot % block_size of
    the cache, where slot is element t (i64) of the slot mapping. A negative slot
    is skipped; so is one of blocks * block_size or more, unless `bounds` is `off`;
    with `count` it is also added to the u64 that `counting` points to. Where two
    tokens have one slot, the last wins on the host and either on a GPU. With a
    cache of the source type, bits are copied and there are no scales.

    `strides` are in elements: first those between tokens (the heads of a token are
    compact), then for each cache those between blocks, rows and heads.

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

def Kvq_CacheLoadOp : Kvq_CacheOp<"cache_load", "from"> {
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

#endif // KVQ_DIALECT_KVQCACHEOPS_TD
