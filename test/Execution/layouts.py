"""Where a cache's elements lie, as numpy reshapes and transposes a block; nothing here knows of maps."""

import numpy as np
from cases import MAPS

# The name or the maps in IR, and how K's and V's blocks are made: the shape of a compact block of n rows, h heads and d elements (x in 16 bytes), and
# its axes as rows, heads and elements take them, split ones first by their quotient.
LAYOUTS = {
    "nhd": ("nhd", [lambda n, h, d, x: ((n, h, d), (0, 1, 2))] * 2),
    "hnd": ("hnd", [lambda n, h, d, x: ((h, n, d), (1, 0, 2))] * 2),
    "paged": ("paged", [lambda n, h, d, x: ((h, d // x, n, x), (2, 0, 1, 3)), lambda n, h, d, x: ((h, d, n), (2, 0, 1))]),
    "paged_interleaved": (
        "paged_interleaved",
        [lambda n, h, d, x: ((h, d // x, n, x), (2, 0, 1, 3)), lambda n, h, d, x: ((h, n // x, d, x), (1, 3, 0, 2))],
    ),
    "rows innermost": (MAPS["rows innermost"], [lambda n, h, d, x: ((d, h, n), (2, 1, 0))] * 2),
    "quads": (MAPS["quads"], [lambda n, h, d, x: ((d // 4, n, h, 4), (1, 2, 0, 3))] * 2),
    "apart": (
        MAPS["apart"],
        [lambda n, h, d, x: ((n // 2, h, d // 2, 2, 2), (0, 3, 1, 2, 4)), lambda n, h, d, x: ((h, d, n), (2, 0, 1))],
    ),
}


class Places:
    """The index of every element of a cache's parts in its arrays, whose blocks lie `gap` elements apart: each [blocks, rows, heads, size]."""

    def __init__(self, layout, blocks, rows, heads, size, rank, element_bytes, gap):
        self.rank = rank
        inside = rows * heads * size
        self.block_stride = inside + gap
        self.size = blocks * self.block_stride
        block = np.arange(self.size).reshape(blocks, self.block_stride)[:, :inside]
        if layout == "mla":
            row = block.reshape(blocks, rows, 1, size)
            self.parts = [row[..., :rank], row[..., rank:]]
            self.strides = {"block": self.block_stride, "page": size}
        elif layout == "mla_segmented":
            cut = rows * rank
            self.parts = [block[:, :cut].reshape(blocks, rows, 1, rank), block[:, cut:].reshape(blocks, rows, 1, size - rank)]
            self.strides = {"block": self.block_stride}
        else:
            self.parts = []
            for make in LAYOUTS[layout][1]:
                shape, axes = make(rows, heads, size, 16 // element_bytes)
                ordered = block.reshape(blocks, *shape).transpose(0, *(axis + 1 for axis in axes))
                self.parts.append(ordered.reshape(blocks, rows, heads, size))
            self.strides = {"block": self.block_stride}
            if layout == "nhd":
                self.strides |= {"page": heads * size, "head": size}
            elif layout == "hnd":
                self.strides |= {"page": size, "head": rows * size}

    @property
    def is_latent(self):
        """Whether the two parts lie in one array."""
        return self.rank != 0
