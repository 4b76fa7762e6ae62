// RUN: kvq-opt %s --kvq-lower-cache-ops --canonicalize -split-input-file | FileCheck %s

// Constants of the heads lie in a table beside the kernels; a thread loads its head's, once for its whole vector.
module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  // CHECK: gpu.module @kernels
  // CHECK-DAG: llvm.mlir.global internal constant @[[A:store_table_[0-9a-f]+]](dense<[2.000000e+00, 4.000000e+00]> : tensor<2xf32>) {addr_space = 1 : i32, alignment = 8 : i64} : !llvm.array<2 x f32>
  // CHECK-DAG: llvm.mlir.global internal constant @[[PAIRS:store_table_[0-9a-f]+]](dense<[2.000000e+00, 5.000000e-01, 4.000000e+00, 2.500000e-01]> : tensor<4xf32>)
  // CHECK-DAG: llvm.mlir.global internal constant @[[WHOLE:whole_table_[0-9a-f]+]](dense<[2.000000e+00, 4.000000e+00]>
  // CHECK-NOT: llvm.mlir.global
  gpu.module @kernels {
    // CHECK-LABEL: gpu.func @store
    // CHECK: %[[TABLE:.+]] = llvm.mlir.addressof @[[A]] : !llvm.ptr<1>
    // CHECK: %[[PLACE:.+]] = llvm.getelementptr %[[TABLE]]
    // CHECK: %[[LOADED:.+]] = llvm.load %[[PLACE]] invariant {alignment = 4 : i64} : !llvm.ptr<1> -> vector<1xf32>
    // CHECK: %[[NUMBER:.+]] = vector.extract %[[LOADED]][0]
    // CHECK: %[[SPLAT:.+]] = vector.broadcast %[[NUMBER]] : f32 to vector<8xf32>
    // CHECK: %[[SCALED:.+]] = arith.mulf %{{.+}}, %[[SPLAT]] : vector<8xf32>
    // CHECK: kvq.quantize %[[SCALED]], %{{.+}} using [#kvq.arithmetic<none, tried 0>] : vector<8xf32> to vector<8xf8E4M3FN>
    gpu.func @store(%p: !llvm.ptr<1>, %n: i64) kernel {
      %k = arith.constant dense<[0.5, 0.25]> : vector<2xf32>
      kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%k, %k : vector<2xf32>, vector<2xf32>)
          using [[#kvq.arithmetic<multiply(2.0), tried 65536>, #kvq.arithmetic<multiply(4.0), tried 65536>],
                 [#kvq.arithmetic<two_step(2.0, 0.5), tried 65536>, #kvq.arithmetic<two_step(4.0, 0.25), tried 65536>]]
          : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 2, head_size = 128>, !llvm.ptr<1>
      gpu.return
    }

    // Where all heads are alike there is nothing to look up.
    // CHECK-LABEL: gpu.func @alike
    // CHECK-NOT: llvm.mlir.addressof
    // CHECK: arith.mulf %{{.+}}, %cst{{.*}} : vector<8xf32>
    gpu.func @alike(%p: !llvm.ptr<1>, %n: i64, %s: f32) kernel {
      %k = arith.constant dense<0.5> : vector<2xf32>
      kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%k, %k : vector<2xf32>, vector<2xf32>)
          using [[#kvq.arithmetic<multiply(0.5), tried 256>, #kvq.arithmetic<multiply(0.5), tried 256>],
                 [#kvq.arithmetic<multiply(0.5), tried 256>, #kvq.arithmetic<multiply(0.5), tried 256>]]
          : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 2, head_size = 128>, !llvm.ptr<1>
      gpu.return
    }

    // A cache that is converted as a whole is one run of elements only where heads need not be told apart.
    // CHECK-LABEL: gpu.func @whole
    // CHECK: llvm.mlir.addressof @[[WHOLE]]
    gpu.func @whole(%p: !llvm.ptr<1>, %n: i64) kernel {
      %k = arith.constant dense<[0.5, 0.25]> : vector<2xf32>
      kvq.cache_recode convert %p, %p into %p, %p blocks %n strides (%n, %n), (%n, %n) scales (%k, %k : vector<2xf32>, vector<2xf32>)
          using [[#kvq.arithmetic<multiply(2.0), tried 65536>, #kvq.arithmetic<multiply(4.0), tried 65536>],
                 [#kvq.arithmetic<multiply(2.0), tried 65536>, #kvq.arithmetic<multiply(4.0), tried 65536>]]
          : bf16, <layout = <paged>, element = f8E4M3FN, block_size = 16, kv_heads = 2, head_size = 128>, !llvm.ptr<1>
      gpu.return
    }

    // Numbers that are no constants are taken from the vector, and divide.
    // CHECK-LABEL: gpu.func @dynamic
    // CHECK: vector.extract %{{.+}}[%{{.+}}] : f32 from vector<2xf32>
    // CHECK: arith.divf
    gpu.func @dynamic(%p: !llvm.ptr<1>, %n: i64, %k: vector<2xf32>) kernel {
      kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%k, %k : vector<2xf32>, vector<2xf32>)
          : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 2, head_size = 128>, !llvm.ptr<1>
      gpu.return
    }
  }
}

// -----

// AMD's compiler wants constants in the constant address space; on the host there is one.
module attributes {kvq.target = #kvq.target<chip = "gfx942", fnuz = true>} {
  // CHECK: llvm.mlir.global internal constant @load_table_{{[0-9a-f]+}}({{.+}}) {addr_space = 4 : i32
  gpu.module @kernels {
    gpu.func @load(%p: !llvm.ptr<1>, %n: i64, %s: f32) kernel {
      %k = arith.constant dense<[0.5, 0.25]> : vector<2xf32>
      kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%k, %s : vector<2xf32>, f32)
          using [[#kvq.arithmetic<multiply(0.5), tried 256>, #kvq.arithmetic<multiply(0.25), tried 256>], #kvq.arithmetic<multiply(0.5), tried 256>]
          : bf16, <layout = <nhd>, element = f8E4M3FNUZ, block_size = 16, kv_heads = 2, head_size = 128>, !llvm.ptr<1>
      gpu.return
    }
  }
}

// -----

module attributes {kvq.target = #kvq.target<chip = "host">} {
  // CHECK: llvm.mlir.global internal constant @load_table_{{[0-9a-f]+}}({{.+}}) {addr_space = 0 : i32
  func.func @load(%p: !llvm.ptr, %n: i64, %s: f32) {
    %k = arith.constant dense<[0.5, 0.25]> : vector<2xf32>
    kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%k, %s : vector<2xf32>, f32)
        using [[#kvq.arithmetic<multiply(0.5), tried 256>, #kvq.arithmetic<multiply(0.25), tried 256>], #kvq.arithmetic<multiply(0.5), tried 256>]
        : bf16, <layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 2, head_size = 128>, !llvm.ptr
    return
  }
}
