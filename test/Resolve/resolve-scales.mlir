// RUN: kvq-opt %s --kvq-resolve-scales=chip=sm_90 -split-input-file 2>/dev/null | FileCheck %s --check-prefixes=CHECK,OCP
// RUN: kvq-opt %s --kvq-resolve-scales=chip=gfx942 -split-input-file 2>/dev/null | FileCheck %s --check-prefixes=CHECK,FNUZ
// RUN: kvq-opt %s --kvq-resolve-scales='chip=host fnuz=true' -split-input-file 2>/dev/null | FileCheck %s --check-prefixes=CHECK,FNUZ

// The target is set once, on the module.
// OCP: module attributes {kvq.target = #kvq.target<chip = "sm_90">}
// FNUZ: module attributes {kvq.target = #kvq.target<chip = "{{gfx942|host}}", fnuz = true>}

// Both scales are used, and double on a fnuz chip; an absent q ends at 1.0.
// CHECK: kvq.attention @both
// OCP-SAME: resolved(q = 1.000000e+00, k = 5.000000e-01, v = 2.500000e-01, prob = 1.000000e+00)
// FNUZ-SAME: resolved(q = 1.000000e+00, k = 1.000000e+00, v = 5.000000e-01, prob = 1.000000e+00)
// CHECK-SAME: "Checkpoint does not provide a q scaling factor. Setting it to k_scale.
kvq.attention @both index 0 cache fp8 checkpoint(k = 0.5, v = 0.25)

// The default of 1.0 does not double.
// CHECK: kvq.attention @none
// CHECK-SAME: resolved(q = 1.000000e+00, k = 1.000000e+00, v = 1.000000e+00, prob = 1.000000e+00)
// CHECK-SAME: "Using KV cache scaling factor 1.0 for fp8_e4m3.
kvq.attention @none index 1 cache fp8

// One scale serves both.
// CHECK: kvq.attention @one
// OCP-SAME: k = 5.000000e-01, v = 5.000000e-01
// FNUZ-SAME: k = 1.000000e+00, v = 1.000000e+00
kvq.attention @one index 2 cache fp8 checkpoint(k = 0.5)

// Given a q scale, the calculation is switched off, although k and v were skipped.
// CHECK: kvq.attention @calculated index 3 cache fp8 checkpoint(q
// OCP-SAME: resolved(q = 2.500000e-01, k = 1.000000e+00, v = 1.000000e+00,
// FNUZ-SAME: resolved(q = 5.000000e-01, k = 1.000000e+00, v = 1.000000e+00,
kvq.attention @calculated index 3 cache fp8 calculate_kv_scales checkpoint(q = 0.25, k = 0.5, v = 0.5)

// Without one it stays on.
// CHECK: kvq.attention @stays index 4 cache fp8 calculate_kv_scales
kvq.attention @stays index 4 cache fp8 calculate_kv_scales checkpoint(k = 0.5, v = 0.5)

// -----

// With `auto` the scales of k and v are not used.
// CHECK: kvq.attention @auto
// CHECK-SAME: k = 1.000000e+00, v = 1.000000e+00
kvq.attention @auto index 0 cache auto checkpoint(k = 0.5, v = 0.5)
