"""What test_operations.py executes on every sort of chip: the table of docs/reference/coverage.md is made from the same lists."""

# Of one layer's tokens and caches; each on every layout.
OPS = ["store", "load", "gather", "convert", "convert_back", "transcode_to_ocp", "transcode_to_fnuz", "rescale"]
# Of rows alone.
ROW_OPS = ["quantize_query", "quantize_prob", "compute_scales"]

# Layouts that have no name, as a user writes them.
MAPS = {
    "rows innermost": "affine_map<(n, h, d) -> (d, h, n)>",
    "quads": "affine_map<(n, h, d) -> (d floordiv 4, n, h, d mod 4)>",
    "apart": "key = affine_map<(n, h, d) -> (n floordiv 2, h, d floordiv 2, n mod 2, d mod 2)>, value = affine_map<(n, h, d) -> (h, d, n)>",
}

# heads, head size, rank of the latent part, rows of a block; the second of each with nothing a multiple of 16 that need not be.
GEOMETRIES = {
    "nhd": [(3, 40, 0, 8), (65, 34, 0, 5)],
    "hnd": [(3, 64, 0, 8), (13, 46, 0, 8)],
    "paged": [(3, 64, 0, 16), (33, 32, 0, 5)],
    "paged_interleaved": [(3, 64, 0, 32), (5, 48, 0, 16)],
    "rows innermost": [(3, 24, 0, 16), (2, 7, 0, 3)],
    "quads": [(3, 24, 0, 16), (5, 12, 0, 7)],
    "apart": [(3, 24, 0, 16), (5, 6, 0, 6)],
    "mla": [(1, 96, 64, 16), (1, 46, 40, 7)],
    "mla_segmented": [(1, 96, 64, 16), (1, 46, 40, 7)],
}
