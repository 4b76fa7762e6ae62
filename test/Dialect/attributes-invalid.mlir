// RUN: kvq-opt %s -split-input-file -verify-diagnostics

// An unknown chip is answered with the known ones.
// expected-error@+1 {{unknown chip 'sm_42'; known chips are 'sm_80', 'sm_86'}}
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
