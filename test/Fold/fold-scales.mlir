// RUN: kvq-opt %s --kvq-fold-scales | FileCheck %s
// RUN: kvq-opt %s --kvq-fold-scales --remark-format=emitRemark --remarks-filter=kvq-fold-scales -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Layers that nothing reads any more are gone.
// CHECK-NOT: kvq.attention
kvq.attention @layer index 0 cache fp8 checkpoint(k = 0.5, v = 0.023) resolved(q = 1.0, k = 0.5, v = 0.023, prob = 1.0)

// A power of two divides exactly as its reciprocal multiplies.
// CHECK-LABEL: func.func @power_of_two
// CHECK: %[[SCALE:.+]] = arith.constant 5.000000e-01 : f32
// CHECK: kvq.quantize %{{.+}}, %[[SCALE]] using [#kvq.arithmetic<multiply(2.000000e+00), tried 65536>]
// REMARK: remark: {{.*}}arithmetic{{.*}}kvq-fold-scales{{.*}}Method=multiply{{.*}}Tried=65536
func.func @power_of_two(%x: vector<8xbf16>) -> vector<8xf8E4M3FN> {
  %scale = kvq.scale @layer, k
  %q = kvq.quantize %x, %scale : vector<8xbf16> to vector<8xf8E4M3FN>
  return %q : vector<8xf8E4M3FN>
}

// Scale 1.0 needs no arithmetic.
// CHECK-LABEL: func.func @one
// CHECK: kvq.dequantize %{{.+}}, %{{.+}} using [#kvq.arithmetic<none, tried 256>]
func.func @one(%c: vector<8xf8E4M3FN>) -> vector<8xbf16> {
  %scale = kvq.scale @layer, prob
  %x = kvq.dequantize %c, %scale : vector<8xf8E4M3FN> to vector<8xbf16>
  return %x : vector<8xbf16>
}

// All float32 inputs are decided by the switch points.
// CHECK-LABEL: func.func @float32
// CHECK: using [#kvq.arithmetic<{{.+}}, tried {{[0-9]+}} by switch_points>]
func.func @float32(%x: f32) -> f8E4M3FN {
  %scale = kvq.scale @layer, v
  %q = kvq.quantize %x, %scale : f32 to f8E4M3FN
  return %q : f8E4M3FN
}

// A tie of float16 inputs is rounded otherwise after the multiplication by this
// scale's reciprocal; two operations are right.
// CHECK-LABEL: func.func @tie
// CHECK: using [#kvq.arithmetic<two_step({{.+}}, {{.+}}), tried 65536>]
func.func @tie(%x: f16) -> f8E4M3FN {
  %scale = arith.constant 0.0229492188 : f32
  %q = kvq.quantize %x, %scale : f16 to f8E4M3FN
  return %q : f8E4M3FN
}

// A scale that is not constant stays a division.
// CHECK-LABEL: func.func @dynamic
// CHECK: kvq.quantize %{{.+}}, %{{.+}} : f32 to f8E4M3FN
// REMARK: remark: {{.*}}dynamic-scale
func.func @dynamic(%x: f32, %scale: f32) -> f8E4M3FN {
  %q = kvq.quantize %x, %scale : f32 to f8E4M3FN
  return %q : f8E4M3FN
}

// Tensors are decided as vectors are.
// CHECK-LABEL: func.func @tensor
// CHECK: %[[SCALE:.+]] = arith.constant 2.300000e-02 : f32
// CHECK: kvq.quantize %{{.+}}, %[[SCALE]] using [#kvq.arithmetic<{{.+}}, tried 65536>] : tensor<2x?xbf16> to tensor<2x?xf8E4M3FN>
// REMARK: remark: {{.*}}arithmetic{{.*}}kvq-fold-scales{{.*}}Tried=65536
func.func @tensor(%x: tensor<2x?xbf16>) -> tensor<2x?xf8E4M3FN> {
  %scale = kvq.scale @layer, v
  %q = kvq.quantize %x, %scale : tensor<2x?xbf16> to tensor<2x?xf8E4M3FN>
  return %q : tensor<2x?xf8E4M3FN>
}

// The run is counted.
// REMARK: remark: {{.*}}folded{{.*}}OpsDecided=5{{.*}}ScalesFolded=4
