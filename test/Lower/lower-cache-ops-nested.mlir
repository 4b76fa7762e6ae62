// Tables of constants stand beside a function, where a pass on the function alone has no business.
// RUN: kvq-opt %s --pass-pipeline='builtin.module(func.func(kvq-lower-cache-ops))' -verify-diagnostics

module attributes {kvq.target = #kvq.target<chip = "host">} {
  func.func @load(%p: !llvm.ptr, %n: i64, %s: f32, %k: vector<2xf32>) {
    // expected-error@+1 {{expected 'kvq-lower-cache-ops' to run on a module where scales are per head, but it runs on 'func.func'}}
    kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%k, %s : vector<2xf32>, f32)
        : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 2, head_size = 128>, !llvm.ptr
    return
  }
}
