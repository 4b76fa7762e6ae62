// RUN: kvq-opt %s --kvq-fold-scales | FileCheck %s

// The numbers of all heads are folded as one vector.
kvq.attention @layer index 0 cache fp8
    resolved(q = 1.0, k = dense<[0.5, 0.25]> : tensor<2xf32>, v = dense<[0.0229492188, 0.25]> : tensor<2xf32>, prob = 1.0)
kvq.attention @ones index 1 cache fp8
    resolved(q = 1.0, k = dense<1.0> : tensor<2xf32>, v = dense<[1.0, 0.5]> : tensor<2xf32>, prob = 1.0)
kvq.attention @tiny index 2 cache fp8
    resolved(q = 1.0, k = dense<[2.9387359e-39, 0.5]> : tensor<2xf32>, v = 0.5, prob = 1.0)

// Each head has its constants and its proof, and all have one method: 0.0229 wants two operations of a float16 source, so 0.25 has two as well.
// CHECK-LABEL: func.func @store
// CHECK: %[[K:.+]] = arith.constant dense<[5.000000e-01, 2.500000e-01]> : vector<2xf32>
// CHECK: kvq.cache_store
// CHECK-SAME: scales(%[[K]], %{{.+}} : vector<2xf32>, vector<2xf32>)
// CHECK-SAME: using [
// CHECK-SAME: [#kvq.arithmetic<multiply(2.000000e+00), tried 65536>, #kvq.arithmetic<multiply(4.000000e+00), tried 65536>],
// CHECK-SAME: [#kvq.arithmetic<[[METHOD:two_step]]({{.+}}, {{.+}}), tried 65536>, #kvq.arithmetic<[[METHOD]](4.000000e+00, {{.+}}), tried 65536>]]
func.func @store(%p: !llvm.ptr, %n: i64) {
  %k = kvq.scale @layer, k : vector<2xf32>
  %v = kvq.scale @layer, v : vector<2xf32>
  kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%k, %v : vector<2xf32>, vector<2xf32>)
      : f16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 2, head_size = 64>, !llvm.ptr
  return
}

// A load always multiplies; heads of 1.0 are left alone only where all are.
// CHECK-LABEL: func.func @load
// CHECK: using
// CHECK-SAME: [#kvq.arithmetic<none, tried 256>, #kvq.arithmetic<none, tried 256>],
// CHECK-SAME: [#kvq.arithmetic<multiply(1.000000e+00), tried 256>, #kvq.arithmetic<multiply(5.000000e-01), tried 256>]]
func.func @load(%p: !llvm.ptr, %n: i64) {
  %k = kvq.scale @ones, k : vector<2xf32>
  %v = kvq.scale @ones, v : vector<2xf32>
  kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%k, %v : vector<2xf32>, vector<2xf32>)
      : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 2, head_size = 64>, !llvm.ptr
  return
}

// One head that only the division gets right has all divide; the other scale has its own method.
// CHECK-LABEL: func.func @division
// CHECK: using
// CHECK-SAME: [#kvq.arithmetic<divide({{.+}}), tried 65536>, #kvq.arithmetic<divide(5.000000e-01), tried 65536>],
// CHECK-SAME: #kvq.arithmetic<multiply(2.000000e+00), tried 65536>]
func.func @division(%p: !llvm.ptr, %n: i64) {
  %k = kvq.scale @tiny, k : vector<2xf32>
  %v = kvq.scale @tiny, v
  kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%k, %v : vector<2xf32>, f32)
      : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 2, head_size = 64>, !llvm.ptr
  return
}
