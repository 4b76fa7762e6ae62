// RUN: kvq-opt %s -split-input-file -verify-diagnostics

// An unknown chip is answered with the known ones.
// expected-error@+1 {{unknown chip 'sm_42'; known chips are 'sm_75', 'sm_80'}}
module attributes {kvq.target = #kvq.target<chip = "sm_42">} {}

// -----

// expected-error@+1 {{expected 'fnuz = true' for chip 'gfx942'; only the host's kernels can be of either kind}}
module attributes {kvq.target = #kvq.target<chip = "gfx942">} {}

// -----

// The host stands in for either kind.
module attributes {kvq.target = #kvq.target<chip = "host", fnuz = true>} {}

// -----

// expected-error@+1 {{expected 'kvq.target' to be a '#kvq.target', but got "sm_90"}}
module attributes {kvq.target = "sm_90"} {}

// -----

// expected-error@+1 {{expected 'kvq.target' or 'kvq.checkpoint', but got 'kvq.chip'}}
module attributes {kvq.chip = "sm_90"} {}

// -----

// expected-error@+1 {{expected 'format' of 'kvq.checkpoint' to be one of 'compressed-tensors'}}
module attributes {kvq.checkpoint = {format = "gguf"}} {}

// -----

// expected-error@+1 {{expected 'notes' of 'kvq.checkpoint' to be strings}}
module attributes {kvq.checkpoint = {notes = "text"}} {}

// -----

// expected-error@+1 {{expected 'element' to be one of 'f8E4M3FN', 'f8E4M3FNUZ', 'f8E5M2', 'f8E5M2FNUZ', 'bf16', 'f16', 'f32', but got 'i8'}}
func.func private @kernel() attributes {cache = #kvq.cache<layout = <nhd>, element = i8, block_size = 16, kv_heads = 8, head_size = 128>}

// -----

// expected-error@+1 {{expected 'block_size' from 1 to 1048576, but got 0}}
func.func private @kernel() attributes {cache = #kvq.cache<layout = <nhd>, element = f8E4M3FN, block_size = 0, kv_heads = 8, head_size = 128>}

// -----

// expected-error@+1 {{expected 'align' to be 1, 2, 4, 8, 16 or 32 bytes, but got 12}}
func.func private @kernel() attributes {cache = #kvq.cache<layout = <nhd>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128, align = 12>}

// -----

// expected-error@+1 {{expected layout to be one of 'nhd', 'hnd', 'paged', 'paged_interleaved', 'mla', 'mla_segmented', but got 'dhn'}}
func.func private @kernel() attributes {layout = #kvq.layout<dhn>}

// -----

// A layout tells every element apart, and says what it lacks to do so.
// expected-error@+1 {{expected an injective layout; add the result 'element floordiv 16'}}
func.func private @kernel() attributes {cache = #kvq.cache<layout = <affine_map<(n, h, d) -> (h, n, d mod 16)>>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>}

// -----

// expected-error@+1 {{expected an injective layout; add the result 'element mod 16'}}
func.func private @kernel() attributes {cache = #kvq.cache<layout = <affine_map<(n, h, d) -> (h, n, d floordiv 16)>>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>}

// -----

// expected-error@+1 {{expected an injective layout; add the result '(row floordiv 2) mod 4'}}
func.func private @kernel() attributes {cache = #kvq.cache<layout = <affine_map<(n, h, d) -> (h, n floordiv 8, d, n mod 2)>>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>}

// -----

// expected-error@+1 {{expected an injective layout; add the result 'head'}}
func.func private @kernel() attributes {cache = #kvq.cache<layout = <affine_map<(n, h, d) -> (n, d)>>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>}

// -----

// expected-error@+1 {{expected a layout's map to have every part of 'element' once, but 'element' repeats what another result has}}
func.func private @kernel() attributes {cache = #kvq.cache<layout = <affine_map<(n, h, d) -> (h, d mod 16, n, d)>>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>}

// -----

// expected-error@+1 {{expected 'head_size' to be a multiple of 16 in this layout, but got 40}}
func.func private @kernel() attributes {cache = #kvq.cache<layout = <paged>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 40>}

// -----

// Of 16-bit elements there are 8 in 16 bytes.
func.func private @kernel() attributes {cache = #kvq.cache<layout = <paged>, element = bf16, block_size = 16, kv_heads = 8, head_size = 40>}

// -----

// expected-error@+1 {{expected 'block_size' to be a multiple of 16 in this layout, but got 8}}
func.func private @kernel() attributes {cache = #kvq.cache<layout = <paged_interleaved>, element = f8E4M3FN, block_size = 8, kv_heads = 8, head_size = 64>}

// -----

// expected-error@+1 {{expected the results of a layout's map to be dimensions, with 'floordiv' and 'mod' by positive constants, but got 'd0 + d1'}}
func.func private @kernel() attributes {cache = #kvq.cache<layout = <affine_map<(n, h, d) -> (n + h, h, d)>>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 128>}

// -----

// expected-error@+1 {{expected a layout's map to take (row, head, element), but got '(d0, d1) -> (d0, d1)'}}
func.func private @kernel() attributes {layout = #kvq.layout<affine_map<(n, d) -> (n, d)>>}

// -----

// expected-error@+1 {{expected a 'kv_lora_rank' with layout 'mla'}}
func.func private @kernel() attributes {cache = #kvq.cache<layout = <mla>, element = f8E4M3FN, block_size = 16, kv_heads = 1, head_size = 576>}

// -----

// expected-error@+1 {{expected no 'kv_lora_rank' with layout 'hnd'}}
func.func private @kernel() attributes {cache = #kvq.cache<layout = <hnd>, element = f8E4M3FN, block_size = 16, kv_heads = 1, head_size = 576, kv_lora_rank = 512>}

// -----

// expected-error@+1 {{expected one KV head of more than 'kv_lora_rank' elements, but got 8 of 576 with a rank of 512}}
func.func private @kernel() attributes {cache = #kvq.cache<layout = <mla>, element = f8E4M3FN, block_size = 16, kv_heads = 8, head_size = 576, kv_lora_rank = 512>}
