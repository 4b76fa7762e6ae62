// RUN: kvq-opt %s --kvq-generate-kernels=ops=store,quantize_query -split-input-file -verify-diagnostics | FileCheck %s
// RUN: not kvq-opt %s --kvq-generate-kernels=scales=argument -split-input-file 2>&1 | FileCheck %s --check-prefix=ARGUMENT
// RUN: not kvq-opt %s --kvq-generate-kernels=tensor-parallel-size=2 -split-input-file 2>&1 | FileCheck %s --check-prefix=RANKS
// RUN: kvq-opt %s --kvq-generate-kernels='ops=quantize_query tensor-parallel-size=2 scales=argument' -split-input-file -o /dev/null

// A kernel of scales per head is named by what the table holds: equal layers share it, whatever their names, and others do not.
module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // CHECK: kvq.attention @first
  // CHECK-SAME: store = @kvq_kernels::@[[STORE:kvq_store_nhd_bf16_f8E4M3FN_h2_d64_b16_heads[0-9a-f]+_3e800000]]
  kvq.attention @first index 0 geometry <heads = 4, kv_heads = 2, head_size = 64> source bf16 cache fp8
      resolved(q = 1.0, k = dense<[0.5, 0.25]> : tensor<2xf32>, v = 0.25, prob = 1.0)
  // CHECK: kvq.attention @second
  // CHECK-SAME: store = @kvq_kernels::@[[STORE]]
  kvq.attention @second index 1 geometry <heads = 4, kv_heads = 2, head_size = 64> source bf16 cache fp8
      resolved(q = 1.0, k = dense<[0.5, 0.25]> : tensor<2xf32>, v = 0.25, prob = 1.0)
  // CHECK: kvq.attention @third
  // CHECK-NOT: store = @kvq_kernels::@[[STORE]]
  // CHECK-SAME: store = @kvq_kernels::@[[OTHER:kvq_store_nhd_bf16_f8E4M3FN_h2_d64_b16_heads[0-9a-f]+_3e800000]]
  kvq.attention @third index 2 geometry <heads = 4, kv_heads = 2, head_size = 64> source bf16 cache fp8
      resolved(q = 1.0, k = dense<[0.25, 0.5]> : tensor<2xf32>, v = 0.25, prob = 1.0)
}
// CHECK: gpu.func @[[STORE]]
// CHECK: %[[K:.+]] = kvq.scale @first, k : vector<2xf32>
// CHECK: %[[V:.+]] = kvq.scale @first, v{{$}}
// CHECK: kvq.cache_store {{.+}} scales(%[[K]], %[[V]] : vector<2xf32>, f32)
// CHECK: gpu.func @[[OTHER]]

// ARGUMENT: error: expected 'k_scale' to be one number where kernels take scales as arguments, but it is one for each KV head; fold it
// RANKS: error: expected a tensor-parallel size of 1 with a k_scale for each KV head, which differ from rank to rank, but got 2

// -----

module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // expected-error@+1 {{expected a positive finite v_scale, but got inf}}
  kvq.attention @infinite index 0 geometry <heads = 4, kv_heads = 2, head_size = 64> source bf16 cache fp8
      resolved(q = 1.0, k = 0.5, v = dense<[0.25, 0x7F800000]> : tensor<2xf32>, prob = 1.0)
}
