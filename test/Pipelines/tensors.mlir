// RUN: kvq-opt %s --kvq-resolve-scales=chip=host --kvq-fold-scales --convert-elementwise-to-linalg --eliminate-empty-tensors \
// RUN:   --one-shot-bufferize=bufferize-function-boundaries --buffer-deallocation-pipeline --convert-linalg-to-loops -o %t.mlir
// RUN: FileCheck %s --check-prefix=LOOPS --input-file=%t.mlir
// RUN: kvq-opt %t.mlir --kvq-lower-fp8 --arith-expand=include-bf16 --convert-scf-to-cf --expand-strided-metadata --lower-affine \
// RUN:   --convert-vector-to-llvm --convert-to-llvm --reconcile-unrealized-casts --canonicalize --cse --kvq-verify-lowered \
// RUN:   | FileCheck %s --check-prefix=LLVM
// RUN: sed 's/"host"/"sm_90"/' %t.mlir | kvq-opt --kvq-lower-fp8 | FileCheck %s --check-prefix=NVVM

kvq.attention @layer index 0 cache fp8 checkpoint(q = 0.5, k = 0.023, v = 0.25, prob = 0.5)

// Tensors become buffers, and kvq's conversions scalars in loops, which keep what was proved for the constant.
// LOOPS-LABEL: func.func @widen
// LOOPS-DAG: %[[SCALE:.+]] = arith.constant 2.300000e-02 : f32
// LOOPS-COUNT-2: scf.for
// LOOPS: %[[CODE:.+]] = memref.load %{{.+}} : memref<2x?xf8E4M3FN, strided<[?, ?], offset: ?>>
// LOOPS: %[[NUMBER:.+]] = kvq.dequantize %[[CODE]], %{{.+}} using [#kvq.arithmetic<multiply(2.300000e-02), tried 256>] : f8E4M3FN to f32
// LOOPS: memref.store %[[NUMBER]]
// LLVM-LABEL: llvm.func @widen
// LLVM: llvm.fmul %{{.+}}, %{{.+}} : vector<1xf32>
// The chip decides how loops convert, as it does in kernels.
// NVVM-LABEL: func.func @widen
// NVVM: nvvm.convert.f8x2.to.f16x2
func.func @widen(%c: tensor<2x?xf8E4M3FN>, %out: memref<2x?xf32>) {
  %scale = kvq.scale @layer, k
  %x = kvq.dequantize %c, %scale : tensor<2x?xf8E4M3FN> to tensor<2x?xf32>
  bufferization.materialize_in_destination %x in restrict writable %out : (tensor<2x?xf32>, memref<2x?xf32>) -> ()
  return
}
