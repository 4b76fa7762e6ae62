// RUN: kvq-opt %s --verify-roundtrip | FileCheck %s
// RUN: kvq-opt %s --mlir-print-op-generic | kvq-opt | FileCheck %s

// Every part of a layer is printed as it is read, in one line.
// CHECK: kvq.attention @model.layers.0.self_attn index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8 calculate_kv_scales checkpoint(q = 2.500000e-01, k = 5.000000e-01, v = 1.000000e+00, prob = 2.000000e+00) resolved(q = 2.500000e-01, k = 1.000000e+00, v = 1.000000e+00, prob = 2.000000e+00){{$}}
kvq.attention @model.layers.0.self_attn index 0
    geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8 calculate_kv_scales
    checkpoint(q = 0.25, k = 0.5, v = 1.0, prob = 2.0)
    resolved(q = 0.25, k = 1.0, v = 1.0, prob = 2.0)

// A layer that says nothing but what an engine keeps.
// CHECK: kvq.attention @bare index 1 cache auto{{$}}
kvq.attention @bare index 1 cache auto

// Negative, infinite and NaN scales are what a file may hold; so are several numbers.
// CHECK: kvq.attention @odd index 2 cache fp8_e5m2 checkpoint(q = 0x7FC00000, k = dense<5.000000e-01> : tensor<8x1x1xf32>, v = -1.000000e+00, prob = 0x7F800000){{$}}
kvq.attention @odd index 2 cache fp8_e5m2
    checkpoint(q = 0x7FC00000, k = dense<0.5> : tensor<8x1x1xf32>, v = -1.0, prob = 0x7F800000)

// A float32 that no short decimal gives is kept to the bit.
// CHECK: checkpoint(k = 0.0230102539)
kvq.attention @precise index 3 cache fp8_e4m3 checkpoint(k = 0.0230102539)

// CHECK: geometry <heads = 128, kv_heads = 1, head_size = 576, kv_lora_rank = 512, qk_rope_head_dim = 64>
kvq.attention @mla index 4 geometry <heads = 128, kv_heads = 1, head_size = 576, kv_lora_rank = 512, qk_rope_head_dim = 64> cache fp8

// CHECK: {notes = ["n"], warnings = ["w"]}
kvq.attention @texts index 5 cache fp8 {notes = ["n"], warnings = ["w"]}

// Numbers of the heads, of which a scale is a vector.
// CHECK: checkpoint(k = dense<[0.0230102539, 5.000000e-01]> : tensor<2xf32>) resolved(q = 1.000000e+00, k = dense<[0.0230102539, 5.000000e-01]> : tensor<2xf32>, v = 2.500000e-01, prob = 1.000000e+00)
kvq.attention @heads index 6 cache fp8
    checkpoint(k = dense<[0.0230102539, 0.5]> : tensor<2xf32>)
    resolved(q = 1.0, k = dense<[0.0230102539, 0.5]> : tensor<2xf32>, v = 0.25, prob = 1.0)

// CHECK-LABEL: func.func @reads_heads
// CHECK: kvq.scale @heads, k : vector<2xf32>
// CHECK: kvq.scale @heads, v{{$}}
func.func @reads_heads() -> (vector<2xf32>, f32) {
  %k = kvq.scale @heads, k : vector<2xf32>
  %v = kvq.scale @heads, v
  return %k, %v : vector<2xf32>, f32
}

// CHECK-LABEL: func.func @reads
// CHECK: kvq.scale @bare, k{{$}}
// CHECK: kvq.scale @model.layers.0.self_attn, prob{{$}}
func.func @reads() -> (f32, f32) {
  %k = kvq.scale @bare, k
  %prob = kvq.scale @model.layers.0.self_attn, prob
  return %k, %prob : f32, f32
}
