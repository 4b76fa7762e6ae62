"""Every input of a kernel against the contract's formula."""

import numpy as np
from formulas import differences, f32_inputs, load, store

GUARD = 0xA5


def inputs_of(source_type, scale, cache_type, row):
    """All values of a 16-bit type, or a dense sample of float32 around what matters for `scale`, in whole rows."""
    if np.dtype(source_type).itemsize == 2:
        return np.arange(65536, dtype=np.uint16).view(source_type)
    sample = f32_inputs(scale, cache_type)
    return np.resize(sample, -(-len(sample) // row) * row).view(source_type)


def check_store(kernels, pair, random):
    """All inputs of a pair's store kernel, each token in a slot of its own at random."""
    heads, size, rows = kernels.heads, kernels.head_size, kernels.block_size
    row = heads * size
    inputs = [inputs_of(kernels.source_type, scale, kernels.cache_type, row) for scale in pair]
    length = max(len(values) for values in inputs)
    key, value = (np.resize(values, length).reshape(-1, heads, size) for values in inputs)
    blocks = -(-len(key) // rows) + 1
    caches = [np.full((blocks, rows, heads, size), GUARD, np.uint8) for _ in pair]
    slots = random.permutation(blocks * rows)[: len(key)].astype(np.int64)
    kernels.run("store", pair, key, value, *caches, slots)
    untouched = np.setdiff1d(np.arange(blocks * rows), slots)
    for cache, values, scale in zip(caches, (key, value), pair, strict=True):
        codes = cache.reshape(-1, row)
        wrong = differences(codes[slots].view(kernels.cache_type), store(values.reshape(-1, row), scale, kernels.cache_type))
        assert wrong == 0, f"{wrong} values differ for scale {scale!r}"
        assert (codes[untouched] == GUARD).all()


def check_load(kernels, pair, random):
    """All codes through a pair's load kernel, at every place of a row."""
    heads, size, rows = kernels.heads, kernels.head_size, kernels.block_size
    tokens = -(-4 * 256 // (heads * size)) + 3
    blocks = -(-tokens // rows) + 1
    codes = [np.resize(random.permutation(256), blocks * rows * heads * size).astype(np.uint8).reshape(blocks, rows, heads, size) for _ in pair]
    slots = random.permutation(blocks * rows)[:tokens].astype(np.int64)
    key, value = (np.full((tokens, heads, size), 1, kernels.source_type) for _ in pair)
    kernels.run("load", pair, key, value, *codes, slots)
    for loaded, cache, scale in zip((key, value), codes, pair, strict=True):
        expected = load(cache.reshape(-1, heads, size)[slots].view(kernels.cache_type), scale, kernels.source_type)
        wrong = differences(loaded, expected)
        assert wrong == 0, f"{wrong} values differ for scale {scale!r}"
