// RUN: kvq-opt %s --kvq-generate-kernels -split-input-file -verify-diagnostics

module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // expected-error@+1 {{expected resolved scales; run 'kvq-resolve-scales' first}}
  kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8
}

// -----

// expected-error@+1 {{expected a module with the attribute 'kvq.target'; run 'kvq-resolve-scales{chip=...}' first}}
module {
  kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8
}

// -----

module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // expected-error@+1 {{expected a layer with a geometry (heads, kv_heads, head_size)}}
  kvq.attention @layer index 0 source bf16 cache fp8 resolved(q = 1.0, k = 1.0, v = 1.0, prob = 1.0)
}

// -----

module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // expected-error@+1 {{expected a layer with a source type; name one of 'bf16', 'f16', 'f32'}}
  kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> cache fp8 resolved(q = 1.0, k = 1.0, v = 1.0, prob = 1.0)
}

// -----

module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // expected-error@+1 {{expected a layout for multi-head latent attention, but got 'nhd', which keeps K and V apart}}
  kvq.attention @layer index 0 geometry <heads = 128, kv_heads = 1, head_size = 576, kv_lora_rank = 512, qk_rope_head_dim = 64> source bf16 cache fp8 resolved(q = 1.0, k = 1.0, v = 1.0, prob = 1.0)
}

// -----

module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // expected-error@+1 {{expected a positive finite k_scale, but got inf}}
  kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8 resolved(q = 1.0, k = 0x7F800000, v = 1.0, prob = 1.0)
}
