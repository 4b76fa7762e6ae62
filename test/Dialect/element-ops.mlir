// RUN: kvq-opt %s --verify-roundtrip | FileCheck %s

// Scalars, vectors and tensors of any rank, each format and each source type.
// CHECK-LABEL: func.func @round_trip
func.func @round_trip(%a: f32, %b: vector<8xbf16>, %c: vector<2x4xf16>, %s: f32) {
  // CHECK: kvq.quantize %{{.+}}, %{{.+}} : f32 to f8E5M2FNUZ
  %qa = kvq.quantize %a, %s : f32 to f8E5M2FNUZ
  // CHECK: kvq.quantize %{{.+}}, %{{.+}} using [#kvq.arithmetic<multiply(2.000000e+00), tried 65536>] : vector<8xbf16> to vector<8xf8E4M3FN>
  %qb = kvq.quantize %b, %s using [#kvq.arithmetic<multiply(2.0), tried 65536>] : vector<8xbf16> to vector<8xf8E4M3FN>
  // CHECK: using [#kvq.arithmetic<two_step(43.47826, 9.99999971E-10), tried 514 by switch_points>]
  %qc = kvq.quantize %c, %s using [#kvq.arithmetic<two_step(43.47826, 1.0e-9), tried 514 by switch_points>] : vector<2x4xf16> to vector<2x4xf8E4M3FNUZ>
  // CHECK: using [#kvq.arithmetic<multiply_packed(5.000000e-01) in bf16, tried 65536>]
  %qp = kvq.quantize %b, %s using [#kvq.arithmetic<multiply_packed(0.5) in bf16, tried 65536>] : vector<8xbf16> to vector<8xf8E4M3FN>
  // CHECK: using [#kvq.arithmetic<multiply(5.000000e-01) truncated, tried 256>]
  %dt = kvq.dequantize %qp, %s using [#kvq.arithmetic<multiply(0.5) truncated, tried 256>] : vector<8xf8E4M3FN> to vector<8xbf16>
  // CHECK: kvq.dequantize %{{.+}}, %{{.+}} using [#kvq.arithmetic<none, tried 256>] : vector<8xf8E4M3FN> to vector<8xf32>
  %db = kvq.dequantize %qb, %s using [#kvq.arithmetic<none, tried 256>] : vector<8xf8E4M3FN> to vector<8xf32>
  // CHECK: kvq.dequantize %{{.+}}, %{{.+}} using [#kvq.arithmetic<none in bf16, tried 256>] : vector<8xf8E4M3FN> to vector<8xbf16>
  %dn = kvq.dequantize %qb, %s using [#kvq.arithmetic<none in bf16, tried 256>] : vector<8xf8E4M3FN> to vector<8xbf16>
  return
}

// A scale for each element shows its type.
// CHECK-LABEL: func.func @tensors
func.func @tensors(%a: tensor<2x?xbf16>, %c: vector<4xf8E5M2>, %s: f32, %t: tensor<2x?xf32>, %v: vector<4xf32>) {
  // CHECK: kvq.quantize %{{.+}}, %{{.+}} : tensor<2x?xbf16> to tensor<2x?xf8E4M3FN>
  %q = kvq.quantize %a, %s : tensor<2x?xbf16> to tensor<2x?xf8E4M3FN>
  // CHECK: kvq.quantize %{{.+}}, %{{.+}} : tensor<2x?xbf16>, tensor<2x?xf32> to tensor<2x?xf8E4M3FN>
  %p = kvq.quantize %a, %t : tensor<2x?xbf16>, tensor<2x?xf32> to tensor<2x?xf8E4M3FN>
  // CHECK: kvq.dequantize %{{.+}}, %{{.+}} : vector<4xf8E5M2>, vector<4xf32> to vector<4xf16>
  %d = kvq.dequantize %c, %v : vector<4xf8E5M2>, vector<4xf32> to vector<4xf16>
  return
}
