// RUN: kvq-opt %s --kvq-lower-fp8 -split-input-file -verify-diagnostics

func.func @no_target(%x: f32, %s: f32) -> f8E4M3FN {
  // expected-error@+1 {{expected a module with the attribute 'kvq.target'; run 'kvq-resolve-scales{chip=...}' first}}
  %q = kvq.quantize %x, %s : f32 to f8E4M3FN
  return %q : f8E4M3FN
}

// -----

module attributes {kvq.target = #kvq.target<chip = "host">} {
  func.func @packed(%x: f32, %s: f32) -> f8E4M3FN {
    // expected-error@+1 {{expected a packed multiplication in 'f32', but got one in 'f16'}}
    %q = kvq.quantize %x, %s using [#kvq.arithmetic<multiply_packed(1.0) in f16, tried 1>] : f32 to f8E4M3FN
    return %q : f8E4M3FN
  }
}

// -----

// Native on sm_90, but from and to float16 alone.
module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  func.func @other_type(%c: f8E4M3FN, %s: f32) -> bf16 {
    // expected-error@+1 {{expected a chip that multiplies 'bf16' values of f8E4M3FN, but got 'sm_90'}}
    %x = kvq.dequantize %c, %s using [#kvq.arithmetic<multiply_packed(1.0) in bf16, tried 1>] : f8E4M3FN to bf16
    return %x : bf16
  }
}

// -----

module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  func.func @no_scale(%c: f8E4M3FN, %s: f32) -> bf16 {
    // expected-error@+1 {{expected a chip that decodes f8E4M3FN in 'bf16', but got 'sm_90'}}
    %x = kvq.dequantize %c, %s using [#kvq.arithmetic<none in bf16, tried 1>] : f8E4M3FN to bf16
    return %x : bf16
  }
}

// -----

module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  func.func @toward_zero(%c: f8E4M3FN, %s: f32) -> f16 {
    // expected-error@+1 {{expected a chip that rounds toward zero in 'f16', but got 'sm_90'}}
    %x = kvq.dequantize %c, %s using [#kvq.arithmetic<multiply(1.5) truncated, tried 1>] : f8E4M3FN to f16
    return %x : f16
  }
}

// -----

module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  func.func @load_divides(%c: f8E4M3FN, %s: f32) -> f16 {
    // expected-error@+1 {{expected an arithmetic of 'none', 'multiply' or 'multiply_packed', but got 'divide'}}
    %x = kvq.dequantize %c, %s using [#kvq.arithmetic<divide(1.5), tried 1>] : f8E4M3FN to f16
    return %x : f16
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
