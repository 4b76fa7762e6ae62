// RUN: kvq-opt %s --kvq-fold-scales -split-input-file -verify-diagnostics

kvq.attention @layer index 0 cache fp8 checkpoint(k = 0.5)
func.func @unresolved() -> f32 {
  // expected-error@+1 {{expected resolved scales; run 'kvq-resolve-scales' first}}
  %k = kvq.scale @layer, k
  return %k : f32
}

// -----

kvq.attention @layer index 0 cache fp8 calculate_kv_scales resolved(q = 1.0, k = 1.0, v = 1.0, prob = 1.0)
func.func @calculated() -> f32 {
  // expected-error@+1 {{expected a constant scale, but layer 'layer' calculates its scales on the fly}}
  %k = kvq.scale @layer, k
  return %k : f32
}
