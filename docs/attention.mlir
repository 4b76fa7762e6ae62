// Attention of a few queries over a cache of FP8 keys and values: K's scale is in the factor of the softmax, V's in the epilogue.
kvq.attention @layer index 0 geometry <heads = 8, kv_heads = 2, head_size = 64> source bf16 cache fp8
    checkpoint(q = 0.0419921875, k = 0.0230712891, v = 0.0311279297, prob = 0.00223214296)

#row = affine_map<(head, query, token) -> (head, query)>
#all = affine_map<(head, query, token) -> (head, query, token)>

func.func @attention(%q: tensor<2x?x64xf32>, %k: tensor<2x?x64xf8E4M3FN>, %v: tensor<2x?x64xf8E4M3FN>,
                     %out: memref<2x?x64xf32>) attributes {llvm.emit_c_interface} {
  %one = arith.constant 1.0 : f32
  %zero = arith.constant 0.0 : f32
  %lowest = arith.constant 0xFF800000 : f32
  %c1 = arith.constant 1 : index
  %queries = tensor.dim %q, %c1 : tensor<2x?x64xf32>
  %tokens = tensor.dim %k, %c1 : tensor<2x?x64xf8E4M3FN>

  // The codes as numbers, without their scales.
  %keys = kvq.dequantize %k, %one : tensor<2x?x64xf8E4M3FN> to tensor<2x?x64xf32>
  %values = kvq.dequantize %v, %one : tensor<2x?x64xf8E4M3FN> to tensor<2x?x64xf32>

  // Q K^T
  %empty_scores = tensor.empty(%queries, %tokens) : tensor<2x?x?xf32>
  %zero_scores = linalg.fill ins(%zero : f32) outs(%empty_scores : tensor<2x?x?xf32>) -> tensor<2x?x?xf32>
  %scores = linalg.batch_matmul
      indexing_maps = [affine_map<(head, query, token, i) -> (head, query, i)>,
                       affine_map<(head, query, token, i) -> (head, token, i)>,
                       affine_map<(head, query, token, i) -> (head, query, token)>]
      ins(%q, %keys : tensor<2x?x64xf32>, tensor<2x?x64xf32>) outs(%zero_scores : tensor<2x?x?xf32>)
      -> tensor<2x?x?xf32>

  // exp(factor (score - max)), where the factor is k_scale / sqrt(64)
  %k_scale = kvq.scale @layer, k
  %root = arith.constant 0.125 : f32
  %factor = arith.mulf %k_scale, %root : f32
  %empty_rows = tensor.empty(%queries) : tensor<2x?xf32>
  %lowest_rows = linalg.fill ins(%lowest : f32) outs(%empty_rows : tensor<2x?xf32>) -> tensor<2x?xf32>
  %max = linalg.reduce { arith.maximumf } ins(%scores : tensor<2x?x?xf32>) outs(%lowest_rows : tensor<2x?xf32>)
      dimensions = [2]
  %weights = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%scores, %max : tensor<2x?x?xf32>, tensor<2x?xf32>) outs(%empty_scores : tensor<2x?x?xf32>) {
    ^bb0(%score: f32, %row_max: f32, %_: f32):
      %less = arith.subf %score, %row_max : f32
      %scaled = arith.mulf %less, %factor : f32
      %exp = math.exp %scaled : f32
      linalg.yield %exp : f32
  } -> tensor<2x?x?xf32>
  %zero_rows = linalg.fill ins(%zero : f32) outs(%empty_rows : tensor<2x?xf32>) -> tensor<2x?xf32>
  %sum = linalg.reduce { arith.addf } ins(%weights : tensor<2x?x?xf32>) outs(%zero_rows : tensor<2x?xf32>)
      dimensions = [2]

  // weights V
  %empty = tensor.empty(%queries) : tensor<2x?x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<2x?x64xf32>) -> tensor<2x?x64xf32>
  %weighted = linalg.batch_matmul ins(%weights, %values : tensor<2x?x?xf32>, tensor<2x?x64xf32>)
      outs(%zeros : tensor<2x?x64xf32>) -> tensor<2x?x64xf32>

  // The epilogue: v_scale / sum
  %v_scale = kvq.scale @layer, v
  %result = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%weighted, %sum : tensor<2x?x64xf32>, tensor<2x?xf32>) outs(%empty : tensor<2x?x64xf32>) {
    ^bb0(%value: f32, %row_sum: f32, %_: f32):
      %scaled = arith.mulf %value, %v_scale : f32
      %divided = arith.divf %scaled, %row_sum : f32
      linalg.yield %divided : f32
  } -> tensor<2x?x64xf32>
  bufferization.materialize_in_destination %result in restrict writable %out : (tensor<2x?x64xf32>, memref<2x?x64xf32>) -> ()
  return
}

// New keys as the cache keeps them.
func.func @quantize_keys(%new: tensor<2x?x64xbf16>, %out: memref<2x?x64xf8E4M3FN>) attributes {llvm.emit_c_interface} {
  %k_scale = kvq.scale @layer, k
  %codes = kvq.quantize %new, %k_scale : tensor<2x?x64xbf16> to tensor<2x?x64xf8E4M3FN>
  bufferization.materialize_in_destination %codes in restrict writable %out
      : (tensor<2x?x64xf8E4M3FN>, memref<2x?x64xf8E4M3FN>) -> ()
  return
}

// Keys of the cache as numbers.
func.func @dequantize_keys(%k: tensor<2x?x64xf8E4M3FN>, %out: memref<2x?x64xbf16>) attributes {llvm.emit_c_interface} {
  %k_scale = kvq.scale @layer, k
  %keys = kvq.dequantize %k, %k_scale : tensor<2x?x64xf8E4M3FN> to tensor<2x?x64xbf16>
  bufferization.materialize_in_destination %keys in restrict writable %out : (tensor<2x?x64xbf16>, memref<2x?x64xbf16>) -> ()
  return
}
