// The printed pipeline does in kvq-opt what the registered one does, and what kvqc does.
// RUN: kvqc compile %s --target sm_90 --block-size 32 --print-pipeline > %t.pipeline
// RUN: tr -d '\n' < %t.pipeline | xargs -0 -I @ kvq-opt %s --pass-pipeline=@ > %t.printed 2>/dev/null
// RUN: kvq-opt %s --kvq-to-nvvm='chip=sm_90 block-size=32' > %t.registered 2>/dev/null
// RUN: diff %t.printed %t.registered
// RUN: FileCheck %s < %t.printed

// From a checkpoint it starts with the reading of it, whose name may hold anything.
// RUN: rm -rf "%t (a, b)" && cp -r %inputs/checkpoints/llama-ct "%t (a, b)"
// RUN: kvqc compile "%t (a, b)" --target gfx942 --target host --ops load --scales argument --print-pipeline > %t.both
// RUN: echo 'module {}' > %t.empty
// RUN: head -1 %t.both | tr -d '\n' | xargs -0 -I @ kvq-opt %t.empty --pass-pipeline=@ 2>/dev/null | FileCheck %s --check-prefix=CHECKPOINT
// RUN: FileCheck %s --check-prefix=TEXT < %t.both

// A constant goes through the text as it is: the kernel's name has its bits.
// RUN: kvqc compile %s --target sm_90 --ops compute_scales --k-scale-constant 200.00001 --print-pipeline | tr -d '\n' | xargs -0 -I @ kvq-opt %s --pass-pipeline=@ 2>/dev/null | FileCheck %s --check-prefix=CONSTANT

// CONSTANT: llvm.func @kvq_compute_scales_{{.*}}_43480000_43480001_42c80000(
// CHECK: llvm.func @kvq_store_nhd_bf16_f8E4M3FN_h8_d128_b32_
// CHECK-SAME: nvvm.kernel
// CHECKPOINT: llvm.func @kvq_load_nhd_bf16_f8E4M3FNUZ_h8_d128_b16_dynamic
// TEXT: builtin.module(kvq-load-scales{{.*}}chip=gfx942
// TEXT-NEXT: builtin.module(kvq-load-scales{{.*}}chip=host
kvq.attention @a index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8 checkpoint(k = 0.5, v = 1.0)
