// RUN: kvq-opt %s --kvq-kernels-to-host | FileCheck %s

// The kernel's body, arguments and their attributes move into a function.
module attributes {kvq.target = #kvq.target<chip = "host">} {
  // CHECK-NOT: gpu.module
  // CHECK: func.func @kernel(%[[P:.+]]: !llvm.ptr {llvm.noalias}, %[[N:.+]]: i64)
  // CHECK-NEXT: llvm.store %[[N]], %[[P]]
  // CHECK-NEXT: return
  gpu.module @kernels {
    gpu.func @kernel(%p: !llvm.ptr {llvm.noalias}, %n: i64) kernel {
      llvm.store %n, %p : i64, !llvm.ptr
      gpu.return
    }
  }
}
