"""vLLM's own grid of cache tests (tests/kernels/attention/test_cache.py), to the bit where it allows a neighbouring code, and beyond it."""

import itertools

import numpy as np
import pytest
from chips import BACKENDS, is_fnuz
from formulas import FORMATS, SOURCES, cache_format, differences, load, store
from kernels import build_described, run_described, sample

TOKENS = 42
HEADS_AND_SIZES = [(8, 64), (8, 80), (8, 256), (13, 46)]
BLOCK_SIZES = [8, 16, 32]
BLOCKS = [1024, 10000]
LAYOUTS = {"nhd": lambda cache: cache, "hnd": lambda cache: cache.swapaxes(1, 2)}
DTYPES = ["auto", "fp8", "fp8_e5m2"]
CHIPS = sample(["host", "sm_80", "sm_90", "gfx90a", "gfx942", "gfx950"], 3)
# Beyond vLLM's random numbers: what saturates, rounds to nothing, and is no number.
SPECIAL = [np.inf, -np.inf, np.nan, -0.0, 0.0, 1e30, -1e30, 1e-30, 3e38, -3e38]


class Layer:
    """One layer of the grid: the slices of one tensor that vLLM gives its kernels, and scales that it makes of them."""

    def __init__(self, index, heads, size, layout, source, dtype, fnuz):
        self.index, self.heads, self.size, self.layout, self.source, self.dtype = index, heads, size, layout, source, dtype
        random = np.random.default_rng(100 + index)
        with np.errstate(over="ignore"):
            self.qkv = random.standard_normal((TOKENS, 3, heads, size)).astype(np.float32)
            self.scales = np.abs(self.qkv[:, 1:]).max(axis=(0, 2, 3)) / np.float32(64)
            self.qkv[3::5, 1:, :, :: size // 7] = random.choice(SPECIAL, self.qkv[3::5, 1:, :, :: size // 7].shape)
            self.qkv = self.qkv.astype(SOURCES[source])
        self.element = source if dtype == "auto" else cache_format(dtype, fnuz)
        self.cache_type = FORMATS.get(self.element, SOURCES[source])
        factor = np.float32(2 if fnuz else 1)
        self.text = (
            f"kvq.attention @layer{index} index {index} geometry <heads = {heads}, kv_heads = {heads}, head_size = {size}> source {source} "
            f"cache {dtype} layout <{layout}> checkpoint(k = {self.scales[0] / factor:.9e}, v = {self.scales[1] / factor:.9e})"
        )

    def expect(self, rows, part):
        """Codes of rows."""
        return rows if self.dtype == "auto" else store(rows, self.scales[part], self.cache_type)

    def expect_back(self, codes, part):
        """Rows of codes."""
        return codes if self.dtype == "auto" else load(codes, self.scales[part], SOURCES[self.source])


def caches(layer, blocks, rows):
    """K's and V's caches as vLLM's flash backends keep them, the halves of one tensor, as views [blocks, rows, heads, size]."""
    inner = {"nhd": (rows, layer.heads), "hnd": (layer.heads, rows)}[layer.layout]
    whole = np.zeros((blocks, 2, *inner, layer.size), layer.cache_type)
    return [LAYOUTS[layer.layout](whole[:, part]) for part in range(2)]


def arguments(parts, slots, key, value):
    """A kernel's arguments from views."""
    values = {"key": key, "value": value, "slot_mapping": slots, "num_tokens": len(slots), "num_blocks": len(parts[0])}
    for name, rows, cache in (("key", key, parts[0]), ("value", value, parts[1])):
        values |= {f"{name}_stride": rows.strides[0] // rows.itemsize, f"{name}_cache": cache}
        for axis, stride in enumerate(("block", "page", "head")):
            values[f"{name}_{stride}_stride"] = cache.strides[axis] // cache.itemsize
    return values


def same(actual, expected):
    return differences(np.ascontiguousarray(actual), np.ascontiguousarray(expected)) == 0


def check(layer, kernels, run, blocks, rows):
    random = np.random.default_rng(layer.index)
    slots = random.choice(blocks * rows, TOKENS, replace=False).astype(np.int64)
    places = np.divmod(slots, rows)
    parts = caches(layer, blocks, rows)
    key, value = layer.qkv[:, 1], layer.qkv[:, 2]
    run(kernels["store"], arguments(parts, slots, key, value))
    loaded = np.zeros_like(layer.qkv)
    run(kernels["load"], arguments(parts, slots, loaded[:, 1], loaded[:, 2]))
    bits = f"u{parts[0].itemsize}"
    for part, cache in enumerate(parts):
        codes = layer.expect(layer.qkv[:, part + 1], part)
        assert same(cache[places], codes)
        assert same(loaded[:, part + 1], layer.expect_back(codes, part))
        cache[places] = 0
        touched = np.unique(np.concatenate([places[0], [0, blocks - 1]]))
        assert not cache[touched].view(bits).any()
    assert not loaded[:, 0].view(f"u{loaded.itemsize}").any()


@pytest.mark.parametrize("rows", BLOCK_SIZES)
@pytest.mark.parametrize("chip", CHIPS)
def test_grid(build_dir, kvqc, tmp_path, chip, rows):
    """42 tokens, 8 heads of 64, 80 and 256 and 13 of 46, NHD and HND, every source and cache type; as a GPU each with one block size."""
    grid = list(itertools.product(HEADS_AND_SIZES, LAYOUTS, SOURCES, DTYPES))
    if BACKENDS[chip] != "host":
        # Each source type with another cache type.
        grid = [case for index, case in enumerate(grid) if (index + index // 3 + BLOCK_SIZES.index(rows)) % 3 == 0]
    layers = [Layer(index, *shape, *rest, is_fnuz(chip)) for index, (shape, *rest) in enumerate(grid)]
    text = "\n".join(layer.text for layer in layers) + "\n"
    library, manifest = build_described(build_dir, kvqc, tmp_path, text, chip, [f"block-size={rows}"])
    kernels = {kernel["symbol"]: kernel for kernel in manifest["kernels"]}

    def run(kernel, values):
        run_described(library, kernel, BACKENDS[chip] != "host", values)

    for layer, described in zip(layers, manifest["layers"], strict=True):
        of_layer = {op: kernels[symbol] for op, symbol in described["kernels"][chip].items()}
        assert of_layer["store"]["cache_type"] == layer.element
        check(layer, of_layer, run, BLOCKS[layer.index % 2], rows)
