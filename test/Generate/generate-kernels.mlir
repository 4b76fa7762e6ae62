// RUN: kvq-opt %s --kvq-generate-kernels --mlir-use-nameloc-as-prefix | FileCheck %s
// RUN: kvq-opt %s --kvq-generate-kernels='ops=load tensor-parallel-size=4 block-size=32 bounds=count align=8' --mlir-use-nameloc-as-prefix | FileCheck %s --check-prefix=OPTIONS
// RUN: kvq-opt %s --kvq-generate-kernels=scales=argument --mlir-use-nameloc-as-prefix | FileCheck %s --check-prefix=ARGUMENT

module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // CHECK: kvq.attention @first
  // CHECK-SAME: kernels = {load = @kvq_kernels::@[[LOAD:.+]], store = @kvq_kernels::@[[STORE:kvq_store_nhd_bf16_f8E4M3FN_h8_d128_b16_3f000000_3e800000]]}
  kvq.attention @first index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8
      checkpoint(k = 0.5, v = 0.25) resolved(q = 1.0, k = 0.5, v = 0.25, prob = 1.0)
  // Equal layers share their kernels.
  // CHECK: kvq.attention @second
  // CHECK-SAME: load = @kvq_kernels::@[[LOAD]], store = @kvq_kernels::@[[STORE]]
  kvq.attention @second index 1 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8
      checkpoint(k = 0.5, v = 0.25) resolved(q = 1.0, k = 0.5, v = 0.25, prob = 1.0)
  // A layer whose scales are calculated on the fly reads them through pointers.
  // CHECK: kvq.attention @calculated
  // CHECK-SAME: store = @kvq_kernels::@kvq_store_nhd_bf16_f8E4M3FN_h8_d128_b16_dynamic
  kvq.attention @calculated index 2 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8 calculate_kv_scales
      resolved(q = 1.0, k = 1.0, v = 1.0, prob = 1.0)
}

// The layer that a kernel reads is copied beside it.
// CHECK: gpu.module @kvq_kernels
// CHECK-NEXT: kvq.attention @first index 0
// CHECK-NOT: kernels =
// CHECK: gpu.func @[[STORE]](%key: !llvm.ptr<1> {llvm.align = 16 : i64, llvm.noalias, llvm.readonly}, %value: {{.+}}, %key_cache: !llvm.ptr<1> {llvm.align = 8 : i64, llvm.noalias}, %value_cache: {{.+}}, %slot_mapping: !llvm.ptr<1> {{.+}}, %num_tokens: i64, %num_blocks: i64, %key_stride: i64, %value_stride: i64, %key_block_stride: i64, %key_page_stride: i64, %key_head_stride: i64, %value_block_stride: i64, %value_page_stride: i64, %value_head_stride: i64) kernel attributes {known_block_size = array<i32: 256, 1, 1>}
// CHECK: %[[K:.+]] = kvq.scale @first, k
// CHECK: %[[V:.+]] = kvq.scale @first, v
// CHECK: kvq.cache_store %key, %value into %key_cache, %value_cache at %slot_mapping tokens %num_tokens blocks %num_blocks strides(%key_stride, %value_stride), (%key_block_stride, %key_page_stride, %key_head_stride, %value_block_stride, %value_page_stride, %value_head_stride) scales(%[[K]], %[[V]]) : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>, !llvm.ptr<1>
// CHECK: gpu.func @[[LOAD]]
// CHECK: gpu.func @kvq_store_nhd_bf16_f8E4M3FN_h8_d128_b16_dynamic({{.*}}, %k_scale: !llvm.ptr<1> {{.*}}, %v_scale: !llvm.ptr<1>
// CHECK: llvm.load %k_scale {alignment = 4 : i64} : !llvm.ptr<1> -> f32

// OPTIONS-NOT: gpu.func @kvq_store
// OPTIONS: gpu.func @kvq_load_nhd_bf16_f8E4M3FN_h2_d128_b32_align8_count_3f000000_3e800000(
// OPTIONS-SAME: %value_head_stride: i64, %out_of_range: !llvm.ptr<1>
// OPTIONS: kvq.cache_load {{.*}} bounds count counting %out_of_range : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 32, kv_heads = 2, head_size = 128, align = 8>

// ARGUMENT-NOT: kvq.scale
// ARGUMENT: gpu.func @kvq_store_nhd_bf16_f8E4M3FN_h8_d128_b16_dynamic
