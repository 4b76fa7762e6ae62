// Several kernels of an operation: the first goes by the operation's name, the others by what tells them from it.
// RUN: kvq-opt %s --kvq-generate-kernels='ops=load scales=both align=16,4' | FileCheck %s
// RUN: kvq-opt %s --kvq-generate-kernels='ops=load align=4,16' | FileCheck %s --check-prefix=FIRST

module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // CHECK: kvq.attention @folded
  // CHECK-SAME: kernels = {load = @kvq_kernels::@[[LOAD:kvq_load_nhd_bf16_f8E4M3FN_h8_d128_b16_3f000000_3e800000]],
  // CHECK-SAME: load.align4 = @kvq_kernels::@[[NARROW:kvq_load_nhd_bf16_f8E4M3FN_h8_d128_b16_align4_3f000000_3e800000]],
  // CHECK-SAME: load.align4_dynamic = @kvq_kernels::@[[NARROW_DYNAMIC:kvq_load_nhd_bf16_f8E4M3FN_h8_d128_b16_align4_dynamic]],
  // CHECK-SAME: load.dynamic = @kvq_kernels::@[[DYNAMIC:kvq_load_nhd_bf16_f8E4M3FN_h8_d128_b16_dynamic]]}
  // FIRST: kvq.attention @folded
  // FIRST-SAME: load = @kvq_kernels::@kvq_load_nhd_bf16_f8E4M3FN_h8_d128_b16_align4_{{[0-9a-f]+_[0-9a-f]+}}, load.align16 =
  kvq.attention @folded index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8
      resolved(q = 1.0, k = 0.5, v = 0.25, prob = 1.0)
  // There is nothing to fold.
  // CHECK: kvq.attention @calculated
  // CHECK-SAME: kernels = {load = @kvq_kernels::@[[DYNAMIC]], load.align4 = @kvq_kernels::@[[NARROW_DYNAMIC]]}
  kvq.attention @calculated index 1 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8 calculate_kv_scales
      resolved(q = 1.0, k = 1.0, v = 1.0, prob = 1.0)
  // No scale is used.
  // CHECK: kvq.attention @copied
  // CHECK-SAME: kernels = {load = @{{[^,]+}}, load.align4 = @{{[^,]+}}}
  kvq.attention @copied index 2 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache auto
      resolved(q = 1.0, k = 1.0, v = 1.0, prob = 1.0)
  // Heads of five elements are moved one by one, whatever the alignment.
  // CHECK: kvq.attention @odd
  // CHECK-SAME: kernels = {load = @{{[^,]+}}, load.dynamic = @{{[^,]+}}}
  kvq.attention @odd index 3 geometry <heads = 3, kv_heads = 3, head_size = 5> source bf16 cache fp8
      resolved(q = 1.0, k = 0.5, v = 0.25, prob = 1.0)
}

// CHECK-DAG: gpu.func @[[LOAD]](
// CHECK-DAG: gpu.func @[[NARROW]](
// CHECK-DAG: gpu.func @[[DYNAMIC]](
// CHECK-DAG: gpu.func @[[NARROW_DYNAMIC]](
