// RUN: kvq-test-opt %s --split-input-file --verify-diagnostics --kvq-test-emulate-gpu

// What has no reference function must not pass unseen.
module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  gpu.module @kernels {
    llvm.func @barrier() attributes {gpu.known_block_size = array<i32: 64, 1, 1>, nvvm.kernel} {
      // expected-error @below {{expected only operations that can be emulated, but got 'nvvm.barrier0'}}
      nvvm.barrier0
      llvm.return
    }
  }
}

// -----

// Another rounding or no saturation is another instruction.
module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  gpu.module @kernels {
    llvm.func @relu(%x: f32) attributes {gpu.known_block_size = array<i32: 64, 1, 1>, nvvm.kernel} {
      // expected-error @below {{expected only operations that can be emulated, but got 'nvvm.convert.f32x2.to.f8x2'}}
      %codes = nvvm.convert.f32x2.to.f8x2 %x, %x {relu = true, rnd = #nvvm.fp_rnd_mode<rn>, sat = #nvvm.sat_mode<satfinite>} : i16(f8E4M3FN)
      llvm.return
    }
  }
}

// -----

// Without a block size nobody knows how many threads there are.
module attributes {kvq.target = #kvq.target<chip = "sm_90">} {
  gpu.module @kernels {
    // expected-error @below {{expected a kernel with a known block size of one dimension}}
    llvm.func @kernel() attributes {nvvm.kernel} {
      llvm.return
    }
  }
}

// -----

// The meaning of AMD's conversions depends on the chip.
// expected-error @below {{expected a module with a target}}
module {
}
