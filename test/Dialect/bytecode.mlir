// What a release wrote stays readable: Inputs/kvq-0.1.mlirbc was written by kvq 0.1 from this file.
// To make it again: kvq-opt %s --emit-bytecode -o %S/Inputs/kvq-0.1.mlirbc

// RUN: kvq-opt %s -o %t.text
// RUN: kvq-opt %S/Inputs/kvq-0.1.mlirbc -o %t.bytecode
// RUN: diff %t.text %t.bytecode

module attributes {kvq.target = #kvq.target<chip = "gfx942", fnuz = true>, kvq.checkpoint = {format = "compressed-tensors", model_type = "llama", notes = [], sha256 = "00", unused = ["x"]}} {
  kvq.attention @model.layers.0.self_attn index 0
      geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8
      checkpoint(k = 0.5, v = dense<0.25> : tensor<1xf32>) resolved(q = 1.0, k = 1.0, v = 0.5, prob = 1.0)
  llvm.func @load(%p: !llvm.ptr, %n: i64, %s: f32) {
    kvq.cache_load %p, %p from %p, %p at %p tokens %n blocks %n strides (%n, %n), (%n, %n, %n, %n, %n, %n) scales (%s, %s)
        using [#kvq.arithmetic<multiply(1.0), tried 256>, #kvq.arithmetic<none, tried 256>] bounds off
        : bf16, <layout = <nhd>, element = f8E4M3FNUZ, block_size = 16, kv_heads = 8, head_size = 128>, !llvm.ptr
    llvm.return
  }
  func.func @quantize(%x: vector<8xbf16>) -> vector<8xf8E4M3FNUZ> {
    %s = kvq.scale @model.layers.0.self_attn, k
    %q = kvq.quantize %x, %s : vector<8xbf16> to vector<8xf8E4M3FNUZ>
    return %q : vector<8xf8E4M3FNUZ>
  }
}
