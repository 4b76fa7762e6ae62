// RUN: sed 's/CHIP/sm_90/' %s | kvq-opt --kvq-lower-fp8 | FileCheck %s --check-prefixes=CHECK,NVVM
// RUN: sed 's/CHIP/sm_80/' %s | kvq-opt --kvq-lower-fp8 | FileCheck %s --check-prefixes=CHECK,SOFT
// RUN: sed 's/CHIP/gfx950/' %s | kvq-opt --kvq-lower-fp8 | FileCheck %s --check-prefixes=CHECK,ROCDL
// RUN: sed 's/CHIP/gfx1201/' %s | kvq-opt --kvq-lower-fp8 | FileCheck %s --check-prefixes=CHECK,ROCDL
// RUN: sed 's/CHIP", fnuz = false/gfx942", fnuz = true/' %s | kvq-opt --kvq-lower-fp8 | FileCheck %s --check-prefixes=CHECK,SOFT
// RUN: sed 's/CHIP/gfx1100/' %s | kvq-opt --kvq-lower-fp8 | FileCheck %s --check-prefixes=CHECK,SOFT
// RUN: sed 's/CHIP/sm_90/' %s | kvq-opt --kvq-lower-fp8=strategy=soft | FileCheck %s --check-prefixes=CHECK,SOFT
// RUN: sed 's/CHIP/sm_80/' %s | not kvq-opt --kvq-lower-fp8=strategy=nvvm 2>&1 | FileCheck %s --check-prefix=WITHOUT
// RUN: sed 's/CHIP/gfx950/' %s | not kvq-opt --kvq-lower-fp8=strategy=nvvm 2>&1 | FileCheck %s --check-prefix=OTHER

// The chip table decides: the OCP format has instructions on sm_90, gfx950 and
// gfx1201; sm_80, gfx1100 and the fnuz chip gfx942 convert it in integers.
// WITHOUT: error: 'kvq.quantize' op expected a chip with 'nvvm' conversions to f8E4M3FN, but got 'sm_80'
// OTHER: error: 'kvq.quantize' op expected a chip with 'nvvm' conversions to f8E4M3FN, but got 'gfx950'

module attributes {kvq.target = #kvq.target<chip = "CHIP", fnuz = false>} {
  // CHECK-LABEL: func.func @quantize
  // A pair of bf16 values is widened as a word where ptxas makes three instructions of an extension.
  // NVVM: arith.shli %{{.+}}, %{{.+}} : vector<2xi32>
  // ROCDL: arith.extf %{{.+}} : vector<4xbf16> to vector<4xf32>
  // A scale that is not known yet: one reciprocal and two steps of Newton's method for each value, with remainders that are exact.
  // CHECK: arith.select
  // CHECK: %[[FACTOR:.+]] = arith.select
  // CHECK: %[[NEAR:.+]] = arith.mulf %{{.+}}, %[[FACTOR]] : f32
  // CHECK: %[[X:.+]] = arith.mulf %{{.+}}, %{{.+}} : vector<4xf32>
  // CHECK: arith.divf %{{.+}}, %[[NEAR]] : f32
  // CHECK: %[[Q0:.+]] = arith.mulf %[[X]], %[[Y:.+]] : vector<4xf32>
  // CHECK: %[[R0:.+]] = llvm.intr.fma(%[[MINUS:.+]], %[[Q0]], %[[X]])
  // CHECK: %[[Q1:.+]] = llvm.intr.fma(%[[R0]], %[[Y]], %[[Q0]])
  // CHECK: %[[R1:.+]] = llvm.intr.fma(%[[MINUS]], %[[Q1]], %[[X]])
  // CHECK: %[[Q2:.+]] = llvm.intr.fma(%[[R1]], %[[Y]], %[[Q1]])
  // CHECK: arith.select %{{.+}}, %[[Q2]], %[[Q0]]
  // The first operand is the high byte.
  // NVVM: %[[LOW:.+]] = vector.extract %[[X:.+]][0] : f32
  // NVVM: %[[HIGH:.+]] = vector.extract %[[X]][1] : f32
  // NVVM: nvvm.convert.f32x2.to.f8x2 %[[HIGH]], %[[LOW]] {rnd = #nvvm.fp_rnd_mode<rn>, sat = #nvvm.sat_mode<satfinite>} : i16(f8E4M3FN)
  // These chips clamp without losing a NaN.
  // ROCDL: arith.minimumf
  // ROCDL: arith.maximumf
  // ROCDL: %[[HALF:.+]] = rocdl.cvt.pk.fp8.f32 %{{.+}}, %{{.+}} -> %{{.+}}[false] : i32
  // ROCDL: rocdl.cvt.pk.fp8.f32 %{{.+}}, %{{.+}} -> %[[HALF]][true] : i32
  // SOFT-NOT: {{nvvm|rocdl}}
  // CHECK: arith.bitcast %{{.+}} : vector<4xi8> to vector<4xf8E4M3FN>
  func.func @quantize(%x: vector<4xbf16>, %scale: f32) -> vector<4xf8E4M3FN> {
    %q = kvq.quantize %x, %scale : vector<4xbf16> to vector<4xf8E4M3FN>
    return %q : vector<4xf8E4M3FN>
  }

  // CHECK-LABEL: func.func @dequantize
  // NVVM: nvvm.convert.f8x2.to.f16x2
  // ROCDL: rocdl.cvt.pk.f32.fp8 %{{.+}}[false] : vector<2xf32>
  // ROCDL: rocdl.cvt.pk.f32.fp8 %{{.+}}[true] : vector<2xf32>
  // NVVM: %[[FACTOR:.+]] = arith.constant dense<5.000000e-01> : vector<4xf32>
  // ROCDL: %[[FACTOR:.+]] = arith.constant dense<5.000000e-01> : vector<4xf32>
  // In integer code the factor makes up for float16's bias too.
  // SOFT: %[[FACTOR:.+]] = arith.constant dense<1.280000e+02> : vector<4xf32>
  // CHECK: arith.mulf %{{.+}}, %[[FACTOR]]
  // CHECK: arith.truncf %{{.+}} : vector<4xf32> to vector<4xf16>
  func.func @dequantize(%c: vector<4xf8E4M3FN>, %scale: f32) -> vector<4xf16> {
    %x = kvq.dequantize %c, %scale using [#kvq.arithmetic<multiply(0.5), tried 256>] : vector<4xf8E4M3FN> to vector<4xf16>
    return %x : vector<4xf16>
  }

  // Folded to two operations: x·b first, then one fused multiply-add.
  // CHECK-LABEL: func.func @two_step
  // CHECK: %[[REST:.+]] = arith.mulf %[[X:.+]], %{{.+}} : vector<1xf32>
  // CHECK: llvm.intr.fma(%[[X]], %{{.+}}, %[[REST]])
  func.func @two_step(%x: f32, %scale: f32) -> f8E4M3FN {
    %q = kvq.quantize %x, %scale using [#kvq.arithmetic<two_step(3.0, 1.0e-9), tried 514 by switch_points>] : f32 to f8E4M3FN
    return %q : f8E4M3FN
  }

  // Vectors of any rank come back in their shape.
  // CHECK-LABEL: func.func @rank_two
  // CHECK: vector.shape_cast %{{.+}} : vector<4xi8> to vector<2x2xi8>
  func.func @rank_two(%x: vector<2x2xf32>, %scale: f32) -> vector<2x2xf8E4M3FN> {
    %q = kvq.quantize %x, %scale using [#kvq.arithmetic<none, tried 514 by switch_points>] : vector<2x2xf32> to vector<2x2xf8E4M3FN>
    return %q : vector<2x2xf8E4M3FN>
  }

  // A scale for each element stands where one for all is broadcast.
  // CHECK-LABEL: func.func @scales
  // CHECK-SAME: %[[X:.+]]: vector<2x2xf32>, %[[SCALES:.+]]: vector<2x2xf32>
  // CHECK: %[[VALUES:.+]] = vector.shape_cast %[[X]] : vector<2x2xf32> to vector<4xf32>
  // CHECK: %[[FLAT:.+]] = vector.shape_cast %[[SCALES]] : vector<2x2xf32> to vector<4xf32>
  // CHECK: arith.divf %[[VALUES]], %[[FLAT]] : vector<4xf32>
  func.func @scales(%x: vector<2x2xf32>, %scales: vector<2x2xf32>) -> vector<2x2xf8E4M3FN> {
    %q = kvq.quantize %x, %scales : vector<2x2xf32>, vector<2x2xf32> to vector<2x2xf8E4M3FN>
    return %q : vector<2x2xf8E4M3FN>
  }
}
