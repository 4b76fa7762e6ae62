// RUN: kvq-opt %s --kvq-to-host=chip=host | FileCheck %s

// Element-wise ops in another compiler's function go all the way to LLVM.
// CHECK-LABEL: llvm.func @quantize
// CHECK-NOT: f8E4M3FN
// CHECK: llvm.return %{{.+}} : vector<8xi8>
func.func @quantize(%x: vector<8xbf16>) -> vector<8xi8> {
  %scale = arith.constant 0.5 : f32
  %q = kvq.quantize %x, %scale : vector<8xbf16> to vector<8xf8E4M3FN>
  %bits = arith.bitcast %q : vector<8xf8E4M3FN> to vector<8xi8>
  return %bits : vector<8xi8>
}
