// RUN: kvq-opt %s -split-input-file -verify-diagnostics

func.func @not_fp8(%x: vector<8xbf16>, %s: f32) {
  // expected-error@+1 {{result #0 must be}}
  %q = kvq.quantize %x, %s : vector<8xbf16> to vector<8xf8E3M4>
  return
}

// -----

func.func @shapes_differ(%x: vector<8xbf16>, %s: f32) {
  // expected-error@+1 {{all non-scalar operands/results must have the same shape and base type}}
  %q = kvq.quantize %x, %s : vector<8xbf16> to vector<4xf8E4M3FN>
  return
}

// -----

func.func @vector_and_tensor(%x: tensor<8xbf16>, %s: f32) {
  // expected-error@+1 {{all non-scalar operands/results must have the same shape and base type}}
  %q = kvq.quantize %x, %s : tensor<8xbf16> to vector<8xf8E4M3FN>
  return
}

// -----

func.func @scales_of_another_shape(%x: vector<8xbf16>, %s: vector<4xf32>) {
  // expected-error@+1 {{all non-scalar operands/results must have the same shape and base type}}
  %q = kvq.quantize %x, %s : vector<8xbf16>, vector<4xf32> to vector<8xf8E4M3FN>
  return
}

// -----

func.func @scale_of_another_type(%x: vector<8xbf16>, %s: vector<8xf16>) {
  // expected-error@+1 {{operand #1 must be}}
  %q = kvq.quantize %x, %s : vector<8xbf16>, vector<8xf16> to vector<8xf8E4M3FN>
  return
}

// -----

func.func @double(%x: f64, %s: f32) {
  // expected-error@+1 {{operand #0 must be}}
  %q = kvq.quantize %x, %s : f64 to f8E4M3FN
  return
}

// -----

func.func @two_arithmetics(%x: f32, %s: f32) {
  // expected-error@+1 {{expected one arithmetic a scale, but got 2 for 1}}
  %q = kvq.quantize %x, %s using [#kvq.arithmetic<none, tried 1>, #kvq.arithmetic<none, tried 1>] : f32 to f8E4M3FN
  return
}

// -----

func.func @unknown_method(%x: f32, %s: f32) {
  // expected-error@+1 {{expected method to be one of 'none', 'multiply', 'multiply_packed', 'two_step', 'divide', 'argument', but got 'guess'}}
  %q = kvq.quantize %x, %s using [#kvq.arithmetic<guess, tried 1>] : f32 to f8E4M3FN
  return
}

// -----

func.func @packed_in_f32(%x: f32, %s: f32) {
  // expected-error@+1 {{expected 'f16' or 'bf16', but got 'f32'}}
  %q = kvq.quantize %x, %s using [#kvq.arithmetic<multiply_packed(1.0) in f32, tried 1>] : f32 to f8E4M3FN
  return
}
