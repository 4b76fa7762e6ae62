// RUN: kvq-opt %s --kvq-resolve-scales='per-head-scales' -split-input-file -verify-diagnostics | FileCheck %s

// Numbers per head double one by one, and each of k and v is per head by itself. Ones around the heads are llm-compressor's.
// CHECK-LABEL: kvq.attention @llm_compressor
// CHECK-SAME: resolved(q = 5.000000e-01, k = dense<[1.000000e+00, 5.000000e-01]> : tensor<2xf32>, v = 5.000000e-01, prob = 5.000000e-01)
module attributes {kvq.target = #kvq.target<chip = "gfx942", fnuz = true>} {
  kvq.attention @llm_compressor index 0 geometry <heads = 4, kv_heads = 2, head_size = 64> cache fp8_e4m3
      checkpoint(q = 0.25, k = dense<[[[0.5]], [[0.25]]]> : tensor<2x1x1xf32>, v = 0.25, prob = 0.25)
}

// -----

// Without a v the numbers of k are v's too (rule 7); without a geometry the count is not known.
// CHECK-LABEL: kvq.attention @k_alone
// CHECK-SAME: k = dense<[5.000000e-01, 2.500000e-01, 1.250000e-01]> : tensor<3xf32>, v = dense<[5.000000e-01, 2.500000e-01, 1.250000e-01]> : tensor<3xf32>
module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // expected-remark@+1 {{there is no v_scale: v resolves to k_scale's value (rule 7)}}
  kvq.attention @k_alone index 0 cache fp8_e4m3 checkpoint(q = 0.5, k = dense<[0.5, 0.25, 0.125]> : tensor<3xf32>, prob = 0.5)
}

// -----

// Where the rules ignore k and v they still do, with several numbers too.
// CHECK-LABEL: kvq.attention @calculated
// CHECK-SAME: resolved(q = 1.000000e+00, k = 1.000000e+00, v = 1.000000e+00, prob = 5.000000e-01)
module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // expected-remark@+3 {{k_scale of 2 numbers is ignored with calculate_kv_scales: it stays at 1.0 (rule 2)}}
  // expected-remark@+2 {{vLLM 0.33 no longer has calculate_kv_scales}}
  // expected-remark@+1 {{q_scale or prob_scale is uncalibrated}}
  kvq.attention @calculated index 0 cache fp8_e4m3 calculate_kv_scales checkpoint(k = dense<[0.5, -1.0]> : tensor<2xf32>, prob = 0.5)
}

// -----

// The seed warns of 1.0 only where all heads have it.
// CHECK-LABEL: kvq.attention @ones
module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // expected-warning@+1 {{Using KV cache scaling factor 1.0 for fp8_e4m3}}
  kvq.attention @ones index 0 cache fp8_e4m3 checkpoint(q = 0.5, k = dense<1.0> : tensor<2xf32>, v = 1.0, prob = 0.5)
  kvq.attention @one_of_two index 1 cache fp8_e4m3 checkpoint(q = 0.5, k = dense<[1.0, 0.5]> : tensor<2xf32>, v = 1.0, prob = 0.5)
}

// -----

module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // expected-error@+1 {{expected k_scale to be one number, or one for each of 8 KV heads along one dimension, but got 4}}
  kvq.attention @wrong_count index 0 geometry <heads = 32, kv_heads = 8, head_size = 64> cache fp8
      checkpoint(k = dense<0.5> : tensor<4xf32>, v = 0.25)
  // expected-error@+1 {{expected v_scale to be one number, or one for each of 2 KV heads along one dimension, but got 3}}
  kvq.attention @two_counts index 1 cache fp8 checkpoint(k = dense<0.5> : tensor<2xf32>, v = dense<0.5> : tensor<3x1x1xf32>)
  // Eight numbers that are no numbers of heads.
  // expected-error@+1 {{expected k_scale to be one number, or one for each of 8 KV heads along one dimension, but got 8}}
  kvq.attention @wrong_shape index 2 geometry <heads = 32, kv_heads = 8, head_size = 64> cache fp8
      checkpoint(k = dense<0.5> : tensor<2x4xf32>, v = 0.25)
  // expected-error@+1 {{expected a positive v_scale for every KV head, but got -0.5 for head 1}}
  kvq.attention @negative index 3 cache fp8 checkpoint(k = 0.5, v = dense<[0.5, -0.5]> : tensor<2xf32>)
  // expected-error@+1 {{expected a positive k_scale for every KV head, but got nan for head 0}}
  kvq.attention @nan index 4 cache fp8 checkpoint(k = dense<[0x7FC00000, 0.5]> : tensor<2xf32>, v = 0.5)
  // expected-error@+1 {{expected a positive k_scale for every KV head, but got 0.0 for head 1}}
  kvq.attention @zero index 5 cache fp8 checkpoint(k = dense<[0.5, 0.0]> : tensor<2xf32>, v = 0.5)
  // expected-error@+2 {{expected a positive k_scale where k_scale and v_scale are not both positive or both negative, but got -1.0}}
  // expected-remark@+1 {{there is a v_scale but no k_scale, which counts as -1.0; vLLM stops at an assertion here (rule 6)}}
  kvq.attention @v_alone index 6 cache fp8 checkpoint(v = dense<0.5> : tensor<2xf32>)
  // A latent row has one head.
  // expected-error@+1 {{expected k_scale to be one number, or one for each of 1 KV heads along one dimension, but got 8}}
  kvq.attention @latent index 7 geometry <heads = 128, kv_heads = 1, head_size = 576, kv_lora_rank = 512, qk_rope_head_dim = 64> cache fp8
      checkpoint(k = dense<0.5> : tensor<8xf32>)
}

// -----

// q and prob stay per tensor.
module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // expected-error@+1 {{Only support per-tensor scaling factorfor fp8-quantized Q/prob}}
  kvq.attention @q_per_head index 0 cache fp8 checkpoint(q = dense<0.5> : tensor<2xf32>, k = dense<0.5> : tensor<2xf32>, v = 0.25, prob = 0.5)
}

// -----

// Infinity is positive; what it becomes is noted, and refused when kernels are made of it.
// CHECK-LABEL: kvq.attention @infinite
module attributes {kvq.target = #kvq.target<chip = "gfx942", fnuz = true>} {
  // expected-remark@+2 {{k_scale of 2 numbers has inf for head 1, which is not finite (rule 3)}}
  // expected-remark@+1 {{v_scale of 2 numbers doubles to inf for head 0 on a fnuz chip: it is beyond float32 (rule 8)}}
  kvq.attention @infinite index 0 cache fp8_e4m3 checkpoint(q = 0.25, k = dense<[0.5, 0x7F800000]> : tensor<2xf32>, v = dense<[3.0e38, 0.5]> : tensor<2xf32>, prob = 0.25)
}
