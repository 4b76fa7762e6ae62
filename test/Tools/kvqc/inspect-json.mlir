// A layer that an engine would refuse has an error in place of its scales, and does not hide the others.
// RUN: not kvqc inspect %s --format json 2>%t.err | FileCheck %s
// RUN: FileCheck %s --check-prefix=ERR < %t.err
// RUN: not kvqc inspect %s 2>/dev/null | FileCheck %s --check-prefix=TABLE

// CHECK: "schema": "kvq.inspect/1",
// CHECK-NEXT: "format": "mlir",
// CHECK-NEXT: "target": "host",
// CHECK-NEXT: "fnuz": false,
// CHECK-NEXT: "kv_cache_dtype": "fp8",
// CHECK-NEXT: "cache_type": "f8E4M3FN",
// CHECK-NEXT: "warnings": [
// CHECK: "notes": [
// CHECK: "unused": [],
// CHECK-NEXT: "layers": [

// Layers come by (index, name), whatever their order in the file.
kvq.attention @b index 1 cache fp8 checkpoint(q = 0.5, k = 0.023, v = 3.0e-8, prob = 0.25)
// CHECK-LABEL: "name": "a",
// CHECK-NEXT: "index": 0,
// CHECK-NEXT: "checkpoint": {"q": null, "k": {"shape": [8, 1, 1]}, "v": 0.25, "prob": null},
// CHECK-NEXT: "error": "Only support per-tensor scaling factor for fp8 KV cache",
// CHECK-LABEL: "name": "b",
// CHECK: "checkpoint": {"q": 0.5, "k": 0.023, "v": 3e-08, "prob": 0.25},
// CHECK-NEXT: "resolved": {"q": 0.5, "k": 0.023, "v": 3e-08, "prob": 0.25},
// CHECK-NEXT: "calculate_kv_scales": false,
// CHECK-NEXT: "warnings": [],
// CHECK-LABEL: "name": "c",
kvq.attention @a index 0 cache fp8 checkpoint(k = dense<0.5> : tensor<8x1x1xf32>, v = 0.25)

// Numbers that are not finite are strings; an absent scale is null.
// CHECK: "checkpoint": {"q": "nan", "k": "inf", "v": "-inf", "prob": null},
// CHECK-NEXT: "resolved": {"q": 1.0, "k": "inf", "v": "inf", "prob": 1.0},
kvq.attention @c index 2 cache fp8 checkpoint(q = 0x7FC00000, k = 0x7F800000, v = 0xFF800000)

// CHECK: "checkpoint": {"q": null, "k": -0.5, "v": 0.25, "prob": null},
// CHECK-NEXT: "error": "expected a positive k_scale where k_scale and v_scale are not both positive or both negative, but got -0.5",
kvq.attention @d index 3 cache fp8 checkpoint(k = -0.5, v = 0.25)

// ERR: error: {{.*}}inspect-json.mlir:{{[0-9]+}}:1: a: Only support per-tensor scaling factor for fp8 KV cache
// ERR-NEXT: error: {{.*}}inspect-json.mlir:{{[0-9]+}}:1: d: expected a positive k_scale
// ERR-NOT: error

// TABLE: 0 a - [8, 1, 1] 0.25 - error error error error
// TABLE-NEXT: 1 b 0.5 0.023 3e-08 0.25 0.5 0.023 3e-08 0.25
