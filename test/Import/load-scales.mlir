// RUN: kvq-opt %s --kvq-load-scales=checkpoint=%S/../Inputs/checkpoints/llama-ct | FileCheck %s
// RUN: kvq-opt %s --kvq-load-scales='checkpoint=%S/../Inputs/checkpoints/llama-ct kv-cache-dtype=fp8_e5m2 calculate-kv-scales=true source-type=f16' | FileCheck %s --check-prefix=OPTIONS
// RUN: kvq-opt %s --kvq-load-scales=checkpoint=%S/../Inputs/checkpoints/llama-ct --mlir-print-debuginfo | FileCheck %s --check-prefix=LOC
// RUN: kvq-opt %s --kvq-load-scales=checkpoint=%S/../Inputs/checkpoints/deepseek-mla | FileCheck %s --check-prefix=MLA
// RUN: kvq-opt %s --kvq-load-scales='checkpoint=%S/../Inputs/checkpoints/legacy-json/kv_cache_scales.json' | FileCheck %s --check-prefix=LEGACY
// RUN: not kvq-opt %s --kvq-load-scales 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not kvq-opt %s --kvq-load-scales=checkpoint=%t.nowhere 2>&1 | FileCheck %s --check-prefix=NOWHERE
// RUN: not kvq-opt %s --kvq-load-scales='checkpoint=%S/../Inputs/checkpoints/llama-ct source-type=i8' 2>&1 | FileCheck %s --check-prefix=TYPE

// One op a layer, with geometry, source type and the file's own numbers.
// CHECK: module attributes {kvq.checkpoint = {format = "compressed-tensors", model_type = "llama", notes = [], sha256 = "{{[0-9a-f]+}}", unused = []}}
// CHECK: kvq.attention @model.layers.0.self_attn index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8 checkpoint(k = 2.343750e-02, v = 3.125000e-02)
// CHECK: kvq.attention @model.layers.3.self_attn index 3

// OPTIONS: source f16 cache fp8_e5m2 calculate_kv_scales checkpoint(

// A layer stands at the tensor of its first scale, in the file that has it.
// LOC: loc("{{.*}}llama-ct{{.}}model.safetensors":0:0)
// LOC: loc("model.layers.0.self_attn.k_scale"(

// MLA: geometry <heads = 128, kv_heads = 1, head_size = 576, kv_lora_rank = 512, qk_rope_head_dim = 64>

// One number of a legacy file is k and v; it has no geometry.
// LEGACY: kvq.attention @{{.+}} index 0 cache fp8 checkpoint(k = [[SCALE:.+]], v = [[SCALE]])

// NONE: error: expected the option 'checkpoint' to name a folder or a file
// NOWHERE: error: {{.*}}nowhere
// TYPE: error: expected 'source-type' to be one of 'bf16', 'f16', 'f32', but got 'i8'
