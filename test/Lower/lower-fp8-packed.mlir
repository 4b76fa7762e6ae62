// RUN: sed 's/CHIP/sm_90/' %s | kvq-opt --kvq-lower-fp8 | FileCheck %s --check-prefixes=CHECK,HALVES
// RUN: sed 's/CHIP/sm_80/' %s | kvq-opt --kvq-lower-fp8 | FileCheck %s --check-prefixes=CHECK,SOFT
// RUN: sed 's/CHIP/gfx1100/' %s | kvq-opt --kvq-lower-fp8 | FileCheck %s --check-prefixes=CHECK,SOFT
// RUN: sed 's/CHIP/gfx950/' %s | kvq-opt --kvq-lower-fp8 | FileCheck %s --check-prefixes=CHECK,PAIRS
// RUN: sed 's/CHIP/gfx1250/' %s | kvq-opt --kvq-lower-fp8 | FileCheck %s --check-prefixes=CHECK,EIGHTS

module attributes {kvq.target = #kvq.target<chip = "CHIP">} {
  // Float32 on the way would cost more than the multiplication.
  // CHECK-LABEL: func.func @load_packed
  // CHECK-NOT: f32>
  // HALVES: nvvm.convert.f8x2.to.f16x2
  // PAIRS: rocdl.cvt.scalef32.pk.f16.fp8
  // EIGHTS: rocdl.cvt.scale.pk8.f16.fp8
  // A code that is moved to float16's place is 2^8 times too small; the factor holds that too.
  // SOFT: %[[FACTOR:.+]] = arith.constant dense<9.600000e+01> : vector<8xf16>
  // CHECK: arith.mulf %{{.+}}, %{{.+}} : vector<8xf16>
  // CHECK-NOT: f32>
  // CHECK: return
  func.func @load_packed(%c: vector<8xf8E4M3FN>, %s: f32) -> vector<8xf16> {
    %x = kvq.dequantize %c, %s using [#kvq.arithmetic<multiply_packed(0.375) in f16, tried 256>] : vector<8xf8E4M3FN> to vector<8xf16>
    return %x : vector<8xf16>
  }

  // A power of two is multiplied by the conversion where it takes one.
  // CHECK-LABEL: func.func @load_power_of_two
  // PAIRS: %[[SCALE:.+]] = arith.constant 2.500000e-01 : f32
  // PAIRS-COUNT-4: rocdl.cvt.scalef32.pk.f16.fp8 %{{.+}}[{{true|false}}], %[[SCALE]] : vector<2xf16>
  // PAIRS-NOT: arith.mulf
  // The exponent 125 in each byte.
  // EIGHTS: %[[SCALE:.+]] = arith.constant 2105376125 : i32
  // EIGHTS: rocdl.cvt.scale.pk8.f16.fp8 %{{.+}}, %[[SCALE]][0] : vector<8xf16>
  // EIGHTS-NOT: arith.mulf
  // HALVES: arith.mulf
  // SOFT: arith.mulf
  // CHECK: return
  func.func @load_power_of_two(%c: vector<8xf8E4M3FN>, %s: f32) -> vector<8xf16> {
    %x = kvq.dequantize %c, %s using [#kvq.arithmetic<multiply_packed(0.25) in f16, tried 256>] : vector<8xf8E4M3FN> to vector<8xf16>
    return %x : vector<8xf16>
  }

  // The upper half of a float32 is the bf16 toward zero.
  // CHECK-LABEL: func.func @load_truncated
  // CHECK: %[[HALVES:.+]] = vector.bitcast %{{.+}} : vector<8xf32> to vector<16xi16>
  // CHECK: %[[UPPER:.+]] = vector.shuffle %[[HALVES]], %[[HALVES]] [1, 3, 5, 7, 9, 11, 13, 15]
  // CHECK: vector.bitcast %[[UPPER]] : vector<8xi16> to vector<8xbf16>
  func.func @load_truncated(%c: vector<8xf8E4M3FN>, %s: f32) -> vector<8xbf16> {
    %x = kvq.dequantize %c, %s using [#kvq.arithmetic<multiply(0.375) truncated, tried 256>] : vector<8xf8E4M3FN> to vector<8xbf16>
    return %x : vector<8xbf16>
  }

  // Without a scale float16 is converted as it is, clamped where the conversion does not saturate.
  // CHECK-LABEL: func.func @store_as_it_is
  // HALVES-COUNT-4: nvvm.convert.f16x2.to.f8x2
  // PAIRS: arith.minimumf %{{.+}}, %{{.+}} : vector<8xf16>
  // PAIRS: arith.maximumf %{{.+}}, %{{.+}} : vector<8xf16>
  // PAIRS-COUNT-4: rocdl.cvt.scalef32.pk.fp8.f16
  // EIGHTS: arith.maximumf %{{.+}}, %{{.+}} : vector<8xf16>
  // EIGHTS: rocdl.cvt.scalef32.pk8.fp8.f16
  // SOFT: arith.extf
  func.func @store_as_it_is(%x: vector<8xf16>, %s: f32) -> vector<8xf8E4M3FN> {
    %q = kvq.quantize %x, %s using [#kvq.arithmetic<none, tried 65536>] : vector<8xf16> to vector<8xf8E4M3FN>
    return %q : vector<8xf8E4M3FN>
  }

  // CHECK-LABEL: func.func @store_packed
  // CHECK: arith.mulf %{{.+}}, %{{.+}} : vector<5xf16>
  func.func @store_packed(%x: vector<5xf16>, %s: f32) -> vector<5xf8E4M3FN> {
    %q = kvq.quantize %x, %s using [#kvq.arithmetic<multiply_packed(2.0) in f16, tried 65536>] : vector<5xf16> to vector<5xf8E4M3FN>
    return %q : vector<5xf8E4M3FN>
  }
}
