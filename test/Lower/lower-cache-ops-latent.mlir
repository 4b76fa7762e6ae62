// RUN: kvq-opt %s --kvq-resolve-scales=chip=sm_90 '--kvq-generate-kernels=ops=store,load' --kvq-fold-scales --kvq-lower-cache-ops --split-input-file \
// RUN:   | FileCheck %s

// A thread takes a vector of one of two parts: what is done to it is the same, and stands in the code once, between the two choices of a place. The bits
// leave the first choice, not values of FP8, of which nothing may be left.
// CHECK-LABEL: gpu.func @kvq_store_mla
// CHECK: %[[BITS:.+]] = scf.if %{{.+}} -> (vector<8xi16>) {
// CHECK: llvm.load
// CHECK: } else {
// CHECK: llvm.load
// CHECK: %[[VALUES:.+]] = arith.bitcast %[[BITS]] : vector<8xi16> to vector<8xbf16>
// CHECK: %[[CODES:.+]] = kvq.quantize %[[VALUES]]
// CHECK-NOT: kvq.quantize
// CHECK: scf.if
// CHECK: arith.bitcast %[[CODES]]
// CHECK: } else {
// CHECK: arith.bitcast %[[CODES]]
// CHECK-LABEL: gpu.func @kvq_load_mla
// CHECK: scf.if %{{.+}} -> (vector<8xi8>) {
// CHECK: kvq.dequantize
// CHECK-NOT: kvq.dequantize
kvq.attention @layer index 0 geometry <heads = 128, kv_heads = 1, head_size = 576, kv_lora_rank = 512, qk_rope_head_dim = 64> source bf16 cache fp8 layout <mla>
    checkpoint(k = 0.375, v = 0.375)

// -----

// Parts of unlike widths are moved each in its own way.
// CHECK-LABEL: gpu.func @kvq_store_mla
// CHECK-NOT: -> (vector
// CHECK: kvq.quantize %{{.+}} : vector<8xbf16> to
// CHECK: kvq.quantize %{{.+}} : vector<2xbf16> to
// CHECK: gpu.return
kvq.attention @layer index 0 geometry <heads = 8, kv_heads = 1, head_size = 46, kv_lora_rank = 40, qk_rope_head_dim = 6> source bf16 cache fp8 layout <mla>
    checkpoint(k = 0.375, v = 0.375)
