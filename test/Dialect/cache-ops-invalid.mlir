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
