// RUN: kvq-opt %s -split-input-file -verify-diagnostics

// expected-error@+1 {{expected kv_cache_dtype to be one of 'auto', 'fp8', 'fp8_e4m3', 'fp8_e5m2', but got 'int8'}}
kvq.attention @layer index 0 cache int8

// -----

// expected-error@+1 {{expected scale to be one of 'q', 'k', 'v', 'prob', but got 'x'}}
kvq.attention @layer index 0 cache fp8 checkpoint(x = 1.0)

// -----

// expected-error@+1 {{expected one scale 'k', but got two}}
kvq.attention @layer index 0 cache fp8 checkpoint(k = 1.0, k = 2.0)

// -----

// expected-error@+1 {{expected a float32 number or a dense float32 tensor for 'k', but got dense<1> : tensor<2xi32>}}
kvq.attention @layer index 0 cache fp8 checkpoint(k = dense<1> : tensor<2xi32>)

// -----

// expected-error@+1 {{expected all of 'q', 'k', 'v', 'prob' to be resolved or none, but got 2}}
kvq.attention @layer index 0 cache fp8 resolved(k = 1.0, v = 1.0)

// -----

// expected-error@+1 {{expected a resolved float32 number for 'q', but got dense<1.000000e+00> : tensor<2xf32>}}
kvq.attention @layer index 0 cache fp8 resolved(q = dense<1.0> : tensor<2xf32>, k = 1.0, v = 1.0, prob = 1.0)

// -----

// expected-error@+1 {{expected a resolved 'k' of one number for each KV head, but got 'tensor<4xf32>'}}
kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> cache fp8 resolved(q = 1.0, k = dense<1.0> : tensor<4xf32>, v = 1.0, prob = 1.0)

// -----

// expected-error@+1 {{expected a resolved 'v' of one number for each KV head, but got 'tensor<4x1x1xf32>'}}
kvq.attention @layer index 0 cache fp8 resolved(q = 1.0, k = 1.0, v = dense<1.0> : tensor<4x1x1xf32>, prob = 1.0)

// -----

kvq.attention @layer index 0 cache fp8 resolved(q = 1.0, k = dense<[0.5, 0.25]> : tensor<2xf32>, v = 1.0, prob = 1.0)
func.func @one_number_of_two() -> f32 {
  // expected-error@+1 {{expected the type 'vector<2xf32>' of the resolved scale, but got 'f32'}}
  %scale = kvq.scale @layer, k
  return %scale : f32
}

// -----

// expected-error@+1 {{expected the source type to be one of 'bf16', 'f16', 'f32', but got 'i8'}}
kvq.attention @layer index 0 source i8 cache fp8

// -----

// expected-error@+1 {{attribute 'index' failed to satisfy constraint}}
kvq.attention @layer index -1 cache fp8

// -----

// expected-error@+1 {{expected 'kv_heads' to divide 'heads', but got 5 and 32}}
kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 5, head_size = 128> cache fp8

// -----

// expected-error@+1 {{expected 'head_size' from 1 to 1048576, but got 0}}
kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 0> cache fp8

// -----

// expected-error@+1 {{expected 'heads' from 1 to 1048576, but got 1099511627776}}
kvq.attention @layer index 0 geometry <heads = 1099511627776, kv_heads = 8, head_size = 64> cache fp8

// -----

// A latent row is one head that has both parts.
// expected-error@+1 {{expected one KV head of kv_lora_rank + qk_rope_head_dim elements, but got 1 of 512}}
kvq.attention @layer index 0 geometry <heads = 128, kv_heads = 1, head_size = 512, kv_lora_rank = 512, qk_rope_head_dim = 64> cache fp8

// -----

func.func @reads_nothing() -> f32 {
  // expected-error@+1 {{expected 'nowhere' to name a 'kvq.attention' of the nearest symbol table}}
  %k = kvq.scale @nowhere, k
  return %k : f32
}

// -----

func.func private @not_a_layer()
func.func @reads_a_function() -> f32 {
  // expected-error@+1 {{expected 'not_a_layer' to name a 'kvq.attention' of the nearest symbol table}}
  %k = kvq.scale @not_a_layer, k
  return %k : f32
}
