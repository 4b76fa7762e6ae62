// RUN: kvq-opt %s --canonicalize --cse | FileCheck %s

#cache = #kvq.cache<layout = <nhd>, element = bf16, block_size = 16, kv_heads = 8, head_size = 128>

// An operation on no tokens touches nothing; one on an unknown number stays.
// CHECK-LABEL: llvm.func @no_tokens
// CHECK-COUNT-1: kvq.cache_load
// CHECK-NOT: kvq.cache
llvm.func @no_tokens(%p: !llvm.ptr, %n: i64) {
  %none = arith.constant 0 : i64
  kvq.cache_store %p, %p into %p, %p at %p tokens %none blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) : bf16, #cache, !llvm.ptr
  kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) : bf16, #cache, !llvm.ptr
  llvm.return
}

kvq.attention @layer index 0 cache fp8

// Reading a scale has no effect: two readings are one, and an unused one is none.
// CHECK-LABEL: func.func @scales
// CHECK: %[[K:.+]] = kvq.scale @layer, k
// CHECK-NEXT: return %[[K]], %[[K]]
func.func @scales() -> (f32, f32) {
  %a = kvq.scale @layer, k
  %b = kvq.scale @layer, k
  %unused = kvq.scale @layer, v
  return %a, %b : f32, f32
}
