// RUN: kvq-opt %s --kvq-to-nvvm=chip=sm_90 2>/dev/null | FileCheck %s --check-prefixes=CHECK,NVVM
// RUN: kvq-opt %s --kvq-to-rocdl=chip=gfx942 2>/dev/null | FileCheck %s --check-prefixes=CHECK,ROCDL
// RUN: kvq-opt %s --kvq-to-host=chip=host 2>/dev/null | FileCheck %s --check-prefixes=CHECK,HOST

// From a layer that somebody wrote down to the dialect of each backend, in one step.
// CHECK-NOT: kvq.attention
kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8 checkpoint(k = 0.375, v = 0.25)

// A scale in a user's own function folds too, doubled on the fnuz chip.
// CHECK: {{llvm|func}}.func @softmax_factor
// NVVM: arith.constant 3.750000e-01 : f32
// ROCDL: arith.constant 7.500000e-01 : f32
// HOST: llvm.mlir.constant(3.750000e-01 : f32) : f32
func.func @softmax_factor(%factor: f32) -> f32 {
  %k_scale = kvq.scale @layer, k
  %scaled = arith.mulf %factor, %k_scale : f32
  return %scaled : f32
}

// NVVM: llvm.func @kvq_store_nhd_bf16_f8E4M3FN_h8_d128_b16_3ec00000_3e800000({{.*}}nvvm.kernel
// NVVM: nvvm.convert.f32x2.to.f8x2
// ROCDL: llvm.func @kvq_store_nhd_bf16_f8E4M3FNUZ_h8_d128_b16_3f400000_3f000000({{.*}}rocdl.kernel
// ROCDL: rocdl.cvt.pk.fp8.f32
// HOST-NOT: gpu.module
// HOST: llvm.func @kvq_store_nhd_bf16_f8E4M3FN_h8_d128_b16_3ec00000_3e800000(
// CHECK: @kvq_load_nhd_bf16_
