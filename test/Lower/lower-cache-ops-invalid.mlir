// RUN: kvq-opt %s --kvq-lower-cache-ops -split-input-file -verify-diagnostics

func.func @no_target(%p: !llvm.ptr, %n: i64) {
  // expected-error@+1 {{expected a module with the attribute 'kvq.target'; run 'kvq-resolve-scales{chip=...}' first}}
  kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n)
      : bf16, <layout = <nhd>, element = bf16, block_size = 16, kv_heads = 8, head_size = 128>, !llvm.ptr
  return
}

// -----

// Threads are mapped for one block size, which a launch has to use.
module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  gpu.module @kernels {
    gpu.func @other_block(%p: !llvm.ptr<1>, %n: i64) kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
      // expected-error@+1 {{expected a kernel with 'known_block_size = array<i32: 256, 1, 1>', but got array<i32: 64, 1, 1>}}
      kvq.cache_store %p, %p into %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n)
          : bf16, <layout = <nhd>, element = bf16, block_size = 16, kv_heads = 8, head_size = 128>, !llvm.ptr<1>
      gpu.return
    }
  }
}
