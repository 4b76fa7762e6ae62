// RUN: sed 's/CHIP/sm_80/' %s | kvq-opt --kvq-fold-scales | FileCheck %s --check-prefixes=CHECK,SM80
// RUN: sed 's/CHIP/sm_90/' %s | kvq-opt --kvq-fold-scales | FileCheck %s --check-prefixes=CHECK,SM90
// RUN: sed 's/CHIP/gfx950/' %s | kvq-opt --kvq-fold-scales | FileCheck %s --check-prefixes=CHECK,GFX950
// RUN: sed 's/CHIP/gfx1201/' %s | kvq-opt --kvq-fold-scales | FileCheck %s --check-prefixes=CHECK,GFX1201
// RUN: sed 's/CHIP/host/' %s | kvq-opt --kvq-fold-scales | FileCheck %s --check-prefixes=CHECK,HOST

// The cheapest of what is right is another arithmetic on another chip.
module attributes {kvq.target = #kvq.target<chip = "CHIP">} {
  // A scale of few bits: the products of f16 pairs are exact.
  // CHECK-LABEL: func.func @load_few_bits
  // SM80: using [#kvq.arithmetic<multiply_packed(3.750000e-01) in f16, tried 256>]
  // SM90: using [#kvq.arithmetic<multiply_packed(3.750000e-01) in f16, tried 256>]
  // GFX950: using [#kvq.arithmetic<multiply_packed(3.750000e-01) in f16, tried 256>]
  // GFX1201: using [#kvq.arithmetic<multiply(3.750000e-01) truncated, tried 256>]
  // HOST: using [#kvq.arithmetic<multiply(3.750000e-01), tried 256>]
  func.func @load_few_bits(%c: vector<8xf8E4M3FN>) -> vector<8xf16> {
    %scale = arith.constant 0.375 : f32
    %x = kvq.dequantize %c, %scale : vector<8xf8E4M3FN> to vector<8xf16>
    return %x : vector<8xf16>
  }

  // A scale of many bits: where rounding to bf16 takes many instructions, a factor is found whose products need only be cut.
  // CHECK-LABEL: func.func @load_many_bits
  // SM80: using [#kvq.arithmetic<multiply(3.010000e-02), tried 256>]
  // SM90: using [#kvq.arithmetic<multiply(3.010000e-02), tried 256>]
  // GFX950: using [#kvq.arithmetic<multiply(3.010000e-02), tried 256>]
  // GFX1201: using [#kvq.arithmetic<multiply({{.+}}) truncated, tried 256>]
  // HOST: using [#kvq.arithmetic<multiply({{.+}}) truncated, tried 256>]
  func.func @load_many_bits(%c: vector<8xf8E4M3FN>) -> vector<8xbf16> {
    %scale = arith.constant 0.0301 : f32
    %x = kvq.dequantize %c, %scale : vector<8xf8E4M3FN> to vector<8xbf16>
    return %x : vector<8xbf16>
  }

  // No factor does for this scale: the products that it may not round up and those that it may not round down exclude each other.
  // CHECK-LABEL: func.func @load_not_truncated
  // CHECK: using [#kvq.arithmetic<multiply(2.300000e-02), tried 256>]
  func.func @load_not_truncated(%c: vector<8xf8E4M3FN>) -> vector<8xbf16> {
    %scale = arith.constant 0.023 : f32
    %x = kvq.dequantize %c, %scale : vector<8xf8E4M3FN> to vector<8xbf16>
    return %x : vector<8xbf16>
  }

  // Without a scale codes go to the type by the shortest way: in the type itself where that costs least, or through float32.
  // CHECK-LABEL: func.func @load_no_scale
  // SM80: using [#kvq.arithmetic<none in bf16, tried 256>]
  // SM80: using [#kvq.arithmetic<none, tried 256>]
  // SM80: using [#kvq.arithmetic<none in f16, tried 256>]
  // SM90: using [#kvq.arithmetic<none, tried 256>]
  // SM90: using [#kvq.arithmetic<none, tried 256>]
  // SM90: using [#kvq.arithmetic<none in f16, tried 256>]
  // GFX950: using [#kvq.arithmetic<none in bf16, tried 256>]
  // GFX950: using [#kvq.arithmetic<none in bf16, tried 256>]
  // GFX950: using [#kvq.arithmetic<none in f16, tried 256>]
  // GFX1201: using [#kvq.arithmetic<none truncated, tried 256>]
  // GFX1201: using [#kvq.arithmetic<none truncated, tried 256>]
  // GFX1201: using [#kvq.arithmetic<none truncated, tried 256>]
  // HOST: using [#kvq.arithmetic<none truncated, tried 256>]
  // HOST: using [#kvq.arithmetic<none truncated, tried 256>]
  // HOST: using [#kvq.arithmetic<none, tried 256>]
  func.func @load_no_scale(%c: vector<8xf8E4M3FN>, %d: vector<8xf8E5M2>) -> (vector<8xbf16>, vector<8xbf16>, vector<8xf16>) {
    %scale = arith.constant 1.0 : f32
    %x = kvq.dequantize %c, %scale : vector<8xf8E4M3FN> to vector<8xbf16>
    %y = kvq.dequantize %d, %scale : vector<8xf8E5M2> to vector<8xbf16>
    %z = kvq.dequantize %d, %scale : vector<8xf8E5M2> to vector<8xf16>
    return %x, %y, %z : vector<8xbf16>, vector<8xbf16>, vector<8xf16>
  }

  // The quotient of a power of two is exact in f16 or too small to matter.
  // CHECK-LABEL: func.func @store_power_of_two
  // SM80: using [#kvq.arithmetic<multiply_packed(2.000000e+00) in f16, tried 65536>]
  // SM90: using [#kvq.arithmetic<multiply_packed(2.000000e+00) in f16, tried 65536>]
  // GFX950: using [#kvq.arithmetic<multiply_packed(2.000000e+00) in f16, tried 65536>]
  // HOST: using [#kvq.arithmetic<multiply(2.000000e+00), tried 65536>]
  func.func @store_power_of_two(%x: vector<8xf16>) -> vector<8xf8E4M3FN> {
    %scale = arith.constant 0.5 : f32
    %q = kvq.quantize %x, %scale : vector<8xf16> to vector<8xf8E4M3FN>
    return %q : vector<8xf8E4M3FN>
  }

  // Rounded in f16 first, ties of another scale's quotients would be rounded twice.
  // CHECK-LABEL: func.func @store_rounded_twice
  // CHECK: using [#kvq.arithmetic<{{multiply|two_step}}({{.+}}), tried 65536>]
  func.func @store_rounded_twice(%x: vector<8xf16>) -> vector<8xf8E4M3FN> {
    %scale = arith.constant 0.75 : f32
    %q = kvq.quantize %x, %scale : vector<8xf16> to vector<8xf8E4M3FN>
    return %q : vector<8xf8E4M3FN>
  }
}
