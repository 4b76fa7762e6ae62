"""Artefacts of one layer for tests of the Python package, and what their kernels are to give."""

import numpy as np
from formulas import FORMATS, SOURCES, differences

SCALES = {"q": np.float32(0.5), "k": np.float32(0.0230712890625), "v": np.float32(1.5), "prob": np.float32(0.031)}
NAME = "model.layers.0.self_attn"


def layer_text(index=0, heads=3, size=32, rank=0, source="bf16", dtype="fp8", scales=SCALES):
    """A layer's op; with a `rank` an MLA layer whose latent part has so many of the `size` elements."""
    kv_heads = 1 if rank else heads
    ranks = f", kv_lora_rank = {rank}, qk_rope_head_dim = {size - rank}" if rank else ""
    scales = ", ".join(f"{name} = {scale:.9e}" for name, scale in scales.items())
    return (
        f"kvq.attention @model.layers.{index}.self_attn index {index} "
        f"geometry <heads = {kv_heads * 4}, kv_heads = {kv_heads}, head_size = {size}{ranks}> "
        f"source {source} cache {dtype} checkpoint({scales})\n"
    )


def opened(kvq, folder, *, heads=3, size=32, rank=0, source="bf16", dtype="fp8", device="host", **options):
    """The artefact of one layer, compiled with `options` and opened."""
    (folder / "model.mlir").write_text(layer_text(0, heads, size, rank, source, dtype))
    kvq.compile(folder / "model.mlir", folder / "out", **options)
    return kvq.open(folder / "out", device)


def random_bits(random, shape, dtype):
    """An array of any bits."""
    width = np.dtype(dtype).itemsize
    return random.integers(0, 256, (*shape[:-1], shape[-1] * width), dtype=np.uint8).view(dtype)


def same(actual, expected):
    """Equal to the bit but for the payloads of NaN."""
    assert actual.shape == expected.shape and actual.dtype == expected.dtype
    assert differences(np.ascontiguousarray(actual), np.ascontiguousarray(expected)) == 0


__all__ = ["FORMATS", "NAME", "SCALES", "SOURCES", "layer_text", "opened", "random_bits", "same"]
