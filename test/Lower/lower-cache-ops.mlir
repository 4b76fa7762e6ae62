// RUN: kvq-opt %s --kvq-lower-cache-ops --canonicalize -split-input-file | FileCheck %s

// On a GPU a thread moves one vector of K and one of V: both loads, then both
// stores, 16 bytes on the wide side, and nothing outside the guard of the slot.
module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  gpu.module @kernels {
    // CHECK-LABEL: gpu.func @store
    // CHECK: gpu.thread_id x
    // CHECK: %[[SLOT:.+]] = llvm.load %{{.+}} invariant {alignment = 8 : i64}
    // CHECK: arith.cmpi ult, %[[SLOT]]
    // CHECK: scf.if
    // CHECK-NOT: scf.for
    // CHECK-COUNT-2: llvm.load %{{.+}} invariant {alignment = 16 : i64} : !llvm.ptr<1> -> vector<8xi16>
    // CHECK: kvq.quantize %{{.+}}, %{{.+}} : vector<8xbf16> to vector<8xf8E4M3FN>
    // CHECK: llvm.store %{{.+}}, %{{.+}} {alignment = 8 : i64} : vector<8xi8>, !llvm.ptr<1>
    // CHECK: llvm.store %{{.+}}, %{{.+}} {alignment = 8 : i64} : vector<8xi8>, !llvm.ptr<1>
    gpu.func @store(%p: !llvm.ptr<1>, %n: i64, %s: f32) kernel {
      kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%s, %s)
          : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>, !llvm.ptr<1>
      gpu.return
    }

    // 13 heads of 46 leave pairs as the widest common access.
    // CHECK-LABEL: gpu.func @odd_heads
    // CHECK-COUNT-2: llvm.load %{{.+}} invariant {alignment = 2 : i64} : !llvm.ptr<1> -> vector<2xi8>
    // CHECK: llvm.store %{{.+}}, %{{.+}} {alignment = 4 : i64} : vector<2xi16>
    gpu.func @odd_heads(%p: !llvm.ptr<1>, %n: i64, %s: f32) kernel {
      kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%s, %s)
          : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 13, head_size = 46>, !llvm.ptr<1>
      gpu.return
    }

    // A row of 2,048 vectors has four blocks of 512 threads.
    // CHECK-LABEL: gpu.func @long_row
    // CHECK-SAME: known_block_size = array<i32: 512, 1, 1>
    // CHECK: arith.remui %{{.+}}, %c4_i64
    // CHECK-NOT: scf.for
    // CHECK: vector<8xi16>
    gpu.func @long_row(%p: !llvm.ptr<1>, %n: i64) kernel {
      kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n)
          : bf16, <layout = <nhd>, element = bf16, block_size = 16, kv_heads = 64, head_size = 256>, !llvm.ptr<1>
      gpu.return
    }

    // Without bounds only negative slots are skipped; a counter counts once a token.
    // CHECK-LABEL: gpu.func @bounds
    // CHECK: arith.cmpi sge, %{{.+}}, %c0_i64
    // CHECK-NOT: llvm.atomicrmw
    // CHECK: arith.cmpi ult
    // CHECK: llvm.atomicrmw add %{{.+}}, %{{.+}} monotonic
    gpu.func @bounds(%p: !llvm.ptr<1>, %n: i64) kernel {
      kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) bounds off
          : bf16, <layout = <nhd>, element = bf16, block_size = 16, kv_heads = 8, head_size = 128>, !llvm.ptr<1>
      kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) bounds count counting %p
          : bf16, <layout = <nhd>, element = bf16, block_size = 16, kv_heads = 8, head_size = 128>, !llvm.ptr<1>
      gpu.return
    }
  }
}

// -----

// On the host one call does all tokens, one cache after the other, unaligned, and fetches the next token ahead.
module attributes {kvq.target = #kvq.target<chip = "host">} {
  // CHECK-LABEL: func.func @store
  // CHECK: scf.for
  // CHECK: scf.if
  // CHECK: arith.minsi
  // CHECK: scf.for
  // CHECK: scf.for
  // CHECK: llvm.intr.prefetch
  // CHECK: llvm.load %{{.+}} invariant {alignment = 2 : i64} : !llvm.ptr -> vector<16xi16>
  // CHECK: scf.for
  // CHECK: scf.for
  // CHECK: llvm.load
  func.func @store(%p: !llvm.ptr, %n: i64, %s: f32) {
    kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%s, %s)
        : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>, !llvm.ptr
    return
  }
}
