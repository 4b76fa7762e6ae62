// RUN: kvq-opt %s --kvq-resolve-scales -split-input-file -verify-diagnostics

// Warnings are the seed's words at the layer; notes are remarks that cite the rule.
module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // expected-warning@+3 {{Checkpoint does not provide a q scaling factor. Setting it to k_scale. This only matters for FP8 Attention backends (flash-attn or flashinfer).}}
  // expected-warning@+2 {{Using uncalibrated q_scale 1.0 and/or prob_scale 1.0 with fp8 attention. This may cause accuracy issues. Please make sure q/prob scaling factors are available in the fp8 checkpoint.}}
  // expected-remark@+1 {{q_scale resolves to 1.0 although the warning says that it is set to k_scale: the copy of k_scale is overwritten (rule 9)}}
  kvq.attention @layer index 0 cache fp8 checkpoint(k = 0.5, v = 0.25)
}

// -----

module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // expected-remark@+2 {{there is a v_scale but no k_scale, which counts as -1.0; vLLM stops at an assertion here (rule 6)}}
  // expected-error@+1 {{expected a positive k_scale where k_scale and v_scale are not both positive or both negative, but got -1.0}}
  kvq.attention @v_alone index 0 cache fp8_e4m3 checkpoint(q = 1.0, v = 0.25, prob = 1.0)
  // A layer in error does not hide the next.
  // expected-error@+2 {{Only support per-tensor scaling factor for fp8 KV cache}}
  // expected-note@+1 {{the option 'per-head-scales' takes one number for each KV head}}
  kvq.attention @per_head index 1 cache fp8_e4m3 checkpoint(q = 1.0, k = dense<0.5> : tensor<8xf32>, v = 0.25, prob = 1.0)
}

// -----

// expected-error@+1 {{expected the option 'chip' or a module with the attribute 'kvq.target'}}
module {
  kvq.attention @layer index 0 cache fp8
}

// -----

module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // expected-error@+1 {{expected unresolved scales, but this layer has been resolved}}
  kvq.attention @layer index 0 cache fp8 resolved(q = 1.0, k = 1.0, v = 1.0, prob = 1.0)
}
