// RUN: kvq-opt %s -split-input-file -verify-diagnostics

#cache = #kvq.cache<layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>
llvm.func @one_stride_short(%p: !llvm.ptr, %n: i64, %s: f32) {
  // expected-error@+1 {{expected 6 cache strides for layout 'nhd', bounds 'check' and a cache of 'f8E4M3FN', but got 5}}
  kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n) scales (%s, %s) : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

#cache = #kvq.cache<layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>
llvm.func @one_cache(%p: !llvm.ptr, %n: i64, %s: f32) {
  // expected-error@+1 {{expected 2 caches}}
  kvq.cache_store %p, %p into %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%s, %s) : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

#cache = #kvq.cache<layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>
llvm.func @no_scales(%p: !llvm.ptr, %n: i64) {
  // expected-error@+1 {{expected 2 scales}}
  kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

#cache = #kvq.cache<layout = <nhd>, element = f16, block_size = 16, kv_heads = 8, head_size = 128>
llvm.func @other_type(%p: !llvm.ptr, %n: i64) {
  // expected-error@+1 {{expected the cache to hold an FP8 format or the source type 'bf16', but got 'f16'}}
  kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

#cache = #kvq.cache<layout = <nhd>, element = bf16, block_size = 16, kv_heads = 8, head_size = 128>
llvm.func @counts_nowhere(%p: !llvm.ptr, %n: i64) {
  // expected-error@+1 {{expected 1 counters for layout 'nhd', bounds 'count' and a cache of 'bf16', but got 0}}
  kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) bounds count : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

// Strides that a layout leaves no choice of are no operands.
#cache = #kvq.cache<layout = <paged>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>
llvm.func @page_strides(%p: !llvm.ptr, %n: i64, %s: f32) {
  // expected-error@+1 {{expected 2 cache strides for layout 'paged', bounds 'check' and a cache of 'f8E4M3FN', but got 6}}
  kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%s, %s) : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

// A latent cache has one scale.
#cache = #kvq.cache<layout = <mla>, element = f8E4M3FN, block_size = 16, kv_heads = 1, head_size = 576, kv_lora_rank = 512>
llvm.func @two_scales(%p: !llvm.ptr, %n: i64, %s: f32) {
  // expected-error@+1 {{expected 1 scales for layout 'mla', bounds 'check' and a cache of 'f8E4M3FN', but got 2}}
  kvq.cache_load %p, %p from %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n) scales (%s, %s) : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

// There is nothing to recode where bits are copied.
#cache = #kvq.cache<layout = <nhd>, element = bf16, block_size = 16, kv_heads = 8, head_size = 128>
llvm.func @no_codes(%p: !llvm.ptr, %n: i64, %s: f32) {
  // expected-error@+1 {{expected an FP8 cache for 'convert', but got 'bf16'}}
  kvq.cache_recode convert %p, %p into %p, %p blocks %n strides (%n, %n, %n, %n, %n, %n), (%n, %n, %n, %n, %n, %n) : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

// Of whole caches there are some operations, and store is none of them.
#cache = #kvq.cache<layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>
llvm.func @no_recoding(%p: !llvm.ptr, %n: i64, %s: f32) {
  // expected-error@+1 {{expected one of 'convert', 'convert_back', 'transcode_to_ocp', 'transcode_to_fnuz', 'rescale', but got 'store'}}
  kvq.cache_recode store %p, %p into %p, %p blocks %n strides (%n, %n, %n, %n, %n, %n), (%n, %n, %n, %n, %n, %n) scales (%s, %s) : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

#cache = #kvq.cache<layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>
llvm.func @bad_constant(%p: !llvm.ptr, %n: i64) {
  // expected-error@+1 {{expected positive constants, but got}}
  kvq.compute_scales %p, %p, %p into %p, %p, %p tokens %n strides (%n, %n, %n) heads 32 constants [200.0, 0.0, 100.0] : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

#cache = #kvq.cache<layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>
llvm.func @no_heads(%p: !llvm.ptr, %n: i64, %s: f32) {
  // expected-error@+1 {{expected 'heads' from 1 to 1048576, but got 0}}
  kvq.quantize_rows %p into %p rows %n strides (%n, %n) scales (%s) : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

#cache = #kvq.cache<layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>
llvm.func @heads_short(%p: !llvm.ptr, %n: i64, %s: f32, %k: vector<4xf32>) {
  // expected-error@+1 {{expected a scale of one number, or of one for each of 8 KV heads, but got 'vector<4xf32>'}}
  kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%k, %s : vector<4xf32>, f32) : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

#cache = #kvq.cache<layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 2, head_size = 128>
llvm.func @two_methods(%p: !llvm.ptr, %n: i64, %s: f32, %k: vector<2xf32>) {
  // expected-error@+1 {{expected one method for all numbers of a scale, but got several}}
  kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%k, %s : vector<2xf32>, f32)
      using [[#kvq.arithmetic<none, tried 1>, #kvq.arithmetic<multiply(1.0), tried 1>], #kvq.arithmetic<none, tried 1>] : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

#cache = #kvq.cache<layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 2, head_size = 128>
llvm.func @arithmetic_short(%p: !llvm.ptr, %n: i64, %s: f32, %k: vector<2xf32>) {
  // expected-error@+1 {{expected an arithmetic for each number of 'vector<2xf32>', but got 1}}
  kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%k, %s : vector<2xf32>, f32)
      using [[#kvq.arithmetic<none, tried 1>], #kvq.arithmetic<none, tried 1>] : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

#cache = #kvq.cache<layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 2, head_size = 128>
llvm.func @one_arithmetic_for_heads(%p: !llvm.ptr, %n: i64, %s: f32, %k: vector<2xf32>) {
  // expected-error@+1 {{expected an arithmetic for each number of 'vector<2xf32>', but got one for all}}
  kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%k, %s : vector<2xf32>, f32)
      using [#kvq.arithmetic<none, tried 1>, #kvq.arithmetic<none, tried 1>] : bf16, #cache, !llvm.ptr
  llvm.return
}

// -----

func.func @array_in_an_element_op(%x: vector<2xbf16>, %s: vector<2xf32>) -> vector<2xf8E4M3FN> {
  // expected-error@+1 {{expected an arithmetic, but got an array of 1}}
  %q = kvq.quantize %x, %s using [[#kvq.arithmetic<none, tried 1>]] : vector<2xbf16>, vector<2xf32> to vector<2xf8E4M3FN>
  return %q : vector<2xf8E4M3FN>
}
