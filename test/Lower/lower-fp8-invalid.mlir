// RUN: kvq-opt %s --kvq-lower-fp8 -split-input-file -verify-diagnostics

func.func @no_target(%x: f32, %s: f32) -> f8E4M3FN {
  // expected-error@+1 {{expected a module with the attribute 'kvq.target'; run 'kvq-resolve-scales{chip=...}' first}}
  %q = kvq.quantize %x, %s : f32 to f8E4M3FN
  return %q : f8E4M3FN
}

// -----

module attributes {kvq.target = #kvq.target<chip = "host">} {
  func.func @packed(%x: f32, %s: f32) -> f8E4M3FN {
    // expected-error@+1 {{expected an arithmetic of 'none', 'multiply', 'two_step' or 'divide', but got 'multiply_packed'}}
    %q = kvq.quantize %x, %s using [#kvq.arithmetic<multiply_packed(1.0), tried 1>] : f32 to f8E4M3FN
    return %q : f8E4M3FN
  }
}

// -----

module attributes {kvq.target = #kvq.target<chip = "host">} {
  func.func @tensor(%c: tensor<2x?xf8E4M3FN>, %s: f32) -> tensor<2x?xf32> {
    // expected-error@+1 {{expected a scalar or a vector, but got 'tensor<2x?xf32>'; run 'convert-elementwise-to-linalg' and 'one-shot-bufferize' first}}
    %x = kvq.dequantize %c, %s : tensor<2x?xf8E4M3FN> to tensor<2x?xf32>
    return %x : tensor<2x?xf32>
  }
}

// -----

module attributes {kvq.target = #kvq.target<chip = "host">} {
  func.func @too_early(%p: !llvm.ptr, %n: i64) {
    // expected-error@+1 {{expected no cache operation; run 'kvq-lower-cache-ops' first}}
    kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n)
        : bf16, <layout = <nhd>, element = bf16, block_size = 16, kv_heads = 8, head_size = 128>, !llvm.ptr
    return
  }
}
