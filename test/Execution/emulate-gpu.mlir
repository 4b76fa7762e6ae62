// RUN: kvq-test-opt %s --split-input-file --kvq-test-emulate-gpu | FileCheck %s

// A conversion of the wrong format, byte or chip would make executed tests say nothing: the fnuz chip's instructions are its own.
module attributes {kvq.target = #kvq.target<chip = "gfx942", fnuz = true>} {
  // CHECK: llvm.mlir.global internal @kvq_isa_table() {{.*}} : !llvm.ptr
  // CHECK: llvm.func @kvq_bind_isa(%{{.*}}: !llvm.ptr)
  // CHECK-LABEL: llvm.func internal @kernel_thread(
  // CHECK-SAME: %[[MEMORY:.+]]: !llvm.ptr {llvm.noalias}, %[[THREAD:.+]]: i32, %[[BLOCK:.+]]: i32, %[[GRID:.+]]: i32)
  // CHECK-NOT: rocdl
  // CHECK: llvm.add %[[THREAD]], %[[BLOCK]]
  // CHECK: %[[ENTRY:.+]] = llvm.getelementptr %{{.*}}[4] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
  // CHECK: %[[FUNCTION:.+]] = llvm.load %[[ENTRY]]
  // CHECK: llvm.call %[[FUNCTION]](
  // CHECK-LABEL: llvm.func @kernel(
  // CHECK-SAME: %[[MEMORY:.+]]: !llvm.ptr, %[[BLOCKS:.+]]: i64)
  // CHECK: %[[SIZE:.+]] = llvm.mlir.constant(64 : i64)
  // CHECK: llvm.mul %[[BLOCKS]], %[[SIZE]]
  // CHECK: llvm.call @kernel_thread(%[[MEMORY]],
  gpu.module @kernels {
    llvm.func @kernel(%memory: !llvm.ptr<1> {llvm.noalias}) attributes {gpu.known_block_size = array<i32: 64, 1, 1>, rocdl.kernel} {
      %thread = rocdl.workitem.id.x : i32
      %block = rocdl.workgroup.id.x : i32
      %sum = llvm.add %thread, %block : i32
      %value = llvm.load %memory : !llvm.ptr<1> -> f32
      %codes = rocdl.cvt.pk.fp8.f32 %value, %value -> %sum[true] : i32
      llvm.store %codes, %memory : i32, !llvm.ptr<1>
      llvm.return
    }
  }
}

// -----

module attributes {kvq.target = #kvq.target<chip = "gfx950">} {
  // CHECK-LABEL: llvm.func internal @kernel_thread(
  // CHECK: llvm.getelementptr %{{.*}}[8] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
  gpu.module @kernels {
    llvm.func @kernel(%memory: !llvm.ptr<1>, %value: f32, %old: i32) attributes {gpu.known_block_size = array<i32: 64, 1, 1>, rocdl.kernel} {
      %codes = rocdl.cvt.pk.fp8.f32 %value, %value -> %old[false] : i32
      llvm.store %codes, %memory : i32, !llvm.ptr<1>
      llvm.return
    }
  }
}
