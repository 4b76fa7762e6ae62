// What the manifest says of a kernel is what the kernel does: grid, block and needs of its arguments on a GPU, one call on the host.
// RUN: rm -rf %t && kvqc compile %s -o %t --target sm_90 --target host --tensor-parallel-size 2 --bounds count 2>/dev/null
// RUN: FileCheck %s < %t/manifest.json
// RUN: FileCheck %s --check-prefix=HEADER < %t/kvq_kernels.h

// CHECK: {"target": "host", "backend": "host", "fnuz": false, "cache_type": "f8E4M3FN", "files": {"shared_object": "host.so"}}

// CHECK: "symbol": "[[STORE:kvq_store_nhd_bf16_f8E4M3FN_h4_d128_b16_count_3f000000_3f800000]]",
// CHECK-NEXT: "target": "sm_90",
// CHECK-NEXT: "op": "store",
// CHECK-NEXT: "layout": "nhd",
// CHECK-NEXT: "source_type": "bf16",
// CHECK-NEXT: "cache_type": "f8E4M3FN",
// CHECK-NEXT: "num_kv_heads": 4,
// CHECK-NEXT: "head_size": 128,
// CHECK-NEXT: "block_size": 16,
// CHECK-NEXT: "bounds": "count",
// CHECK-NEXT: "scales": {"k": {"value": 0.5, "method": "multiply_packed", "tried": 65536}, "v": {"value": 1.0, "method": "none", "tried": 65536}},
// CHECK: {"name": "key", "type": "ptr", "align": 16},
// CHECK: {"name": "num_tokens", "type": "i64"},
// CHECK: {"name": "value_head_stride", "type": "i64", "divisible": 8},
// CHECK-NEXT: {"name": "out_of_range", "type": "ptr", "align": 8}
// CHECK: "block": [256, 1, 1],
// CHECK-NEXT: "grid": [{"ceil_div": ["num_tokens", 4]}, 1, 1],
// CHECK-NEXT: "shared_bytes": 0

// A host kernel takes any alignment.
// CHECK: "symbol": "[[STORE]]",
// CHECK-NEXT: "target": "host",
// CHECK: {"name": "value_head_stride", "type": "i64", "divisible": 1},
// CHECK: "block": [1, 1, 1],
// CHECK-NEXT: "grid": [1, 1, 1],

// Equal layers share their kernels.
kvq.attention @a index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8 checkpoint(k = 0.5, v = 1.0)
kvq.attention @b index 1 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8 checkpoint(k = 0.5, v = 1.0)
// CHECK: "layers": [
// CHECK: "name": "a",
// CHECK: "store": "[[STORE]]"
// CHECK: "name": "b",
// CHECK: "store": "[[STORE]]"

// HEADER: static const kvq_layer kvq_host_layers[] = {
// HEADER-NEXT: {"a", INT64_C(0), 1.0f, 0.5f, 1.0f, 1.0f, 0, "kvq_store_{{.*}}", "kvq_load_{{.*}}"},
// HEADER: launch.grid[0] = kvq_ceil_div((int64_t)args->num_tokens, INT64_C(4));
// HEADER: void kvq_store_nhd_bf16_f8E4M3FN_h4_d128_b16_count_3f000000_3f800000(void *key, void *value,
