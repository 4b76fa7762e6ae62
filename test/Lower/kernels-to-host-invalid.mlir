// RUN: kvq-opt %s --kvq-kernels-to-host -split-input-file -verify-diagnostics

func.func private @kernel()
gpu.module @kernels {
  // expected-error@+1 {{expected no other symbol of this name in the module}}
  gpu.func @kernel() kernel {
    gpu.return
  }
}

// -----

// expected-error@+1 {{expected nothing but kernels beside the kernels of a host module}}
gpu.module @kernels {
  llvm.func @helper() {
    llvm.return
  }
}
