// RUN: not kvq-opt %s --kvq-to-nvvm=chip=gfx942 2>&1 | FileCheck %s --check-prefix=NVVM
// RUN: not kvq-opt %s --kvq-to-rocdl=chip=sm_90 2>&1 | FileCheck %s --check-prefix=ROCDL
// RUN: not kvq-opt %s --kvq-to-host=chip=sm_90 2>&1 | FileCheck %s --check-prefix=HOST
// RUN: not kvq-opt %s --kvq-to-nvvm 2>&1 | FileCheck %s --check-prefix=NONE

// A chip of another backend is said, and not left to an abort of LLVM.
// NVVM: error: expected a chip of backend 'nvvm', but got 'gfx942' of backend 'rocdl'
// ROCDL: error: expected a chip of backend 'rocdl', but got 'sm_90' of backend 'nvvm'
// HOST: error: expected a chip of backend 'host', but got 'sm_90' of backend 'nvvm'
// NONE: error: expected the option 'chip' or a module with the attribute 'kvq.target'
kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8 checkpoint(q = 1.0, k = 0.375, v = 0.25)
