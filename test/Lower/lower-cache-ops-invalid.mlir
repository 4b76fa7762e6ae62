// RUN: kvq-opt %s --kvq-lower-cache-ops -verify-diagnostics

func.func @no_target(%p: !llvm.ptr, %n: i64) {
  // expected-error@+1 {{expected a module with the attribute 'kvq.target'; run 'kvq-resolve-scales{chip=...}' first}}
  kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n)
      : bf16, <layout = <nhd>, element = bf16, block_size = 16, kv_heads = 8, head_size = 128>, !llvm.ptr
  return
}
