#!/usr/bin/env python3
"""Runs the host kernels of a kvq artefact and compares every value with ml_dtypes.

    utils/check_artefact.py DIR [--beyond]

For each layer: all 65,536 values of a 16-bit source type (for f32: those of bf16, and random ones) through store, every code of the cache type
through load, with padded strides, shuffled and negative slots, and caches that are the two halves of one tensor. Rows that no slot names must
keep their bytes. With --beyond some slots lie beyond the cache, which kernels with `--bounds off` must not be given. Exit status 1 where anything
differs.
"""

import argparse
import ctypes
import json
import math
import pathlib
import sys
import zlib

import ml_dtypes
import numpy as np

SOURCE_TYPES = {"bf16": ml_dtypes.bfloat16, "f16": np.float16, "f32": np.float32}
CACHE_TYPES = {
    "f8E4M3FN": ml_dtypes.float8_e4m3fn,
    "f8E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "f8E5M2": ml_dtypes.float8_e5m2,
    "f8E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
}
SCALARS = {"i64": ctypes.c_int64, "i32": ctypes.c_int32}
LAYOUTS = ("nhd", "hnd")
GUARD = 0xA5
PAD = 64  # elements after each row of keys; a multiple of every `divisible`


class Mismatch(Exception):
    """The kernels and the contract differ; the text says where."""


def bits(array):
    """The array's bits as unsigned integers."""
    return array.view(f"u{array.dtype.itemsize}")


def aligned(count, dtype, alignment=64):
    """`count` elements of guard bytes at an aligned address."""
    size = count * np.dtype(dtype).itemsize
    buffer = np.full(size + alignment, GUARD, np.uint8)
    start = -buffer.ctypes.data % alignment
    return buffer[start : start + size].view(dtype)


def stored(x, scale, cache):
    """The contract's store: the correctly rounded quotient in float32, rounded to nearest even, saturated."""
    with np.errstate(all="ignore"):
        largest = np.float32(ml_dtypes.finfo(cache).max)
        return np.clip(x.astype(np.float32) / np.float32(scale), -largest, largest).astype(cache)


def loaded(code, scale, source):
    """The contract's load: the product in float32, rounded to nearest even, not saturated."""
    with np.errstate(all="ignore"):
        return (code.astype(np.float32) * np.float32(scale)).astype(source)


def differences(got, expected):
    """Positions whose bits differ; of a NaN only that it is one counts."""
    nan_got, nan_expected = np.isnan(got.astype(np.float32)), np.isnan(expected.astype(np.float32))
    return np.flatnonzero((nan_got != nan_expected) | (~nan_expected & (bits(got) != bits(expected))))


def source_values(rng, source, count):
    """`count` values with every bit pattern of a 16-bit type, or of bf16 and random ones for f32, in random order."""
    if source is np.float32:
        every = np.concatenate([np.arange(65536, dtype=np.uint32) << 16, rng.integers(0, 1 << 32, 65536, np.uint32)])
    else:
        every = np.arange(65536, dtype=np.uint16)
    fill = rng.integers(0, np.iinfo(every.dtype).max, max(0, count - len(every)), every.dtype, endpoint=True)
    return rng.permutation(np.concatenate([every, fill]))[:count].view(source)


class Case:
    """Buffers and arguments for one store or load of one layer."""

    def __init__(self, kernel, scales, rng, beyond):
        self.kernel, self.scales, self.rng = kernel, scales, rng
        self.heads, self.size, self.block = kernel["num_kv_heads"], kernel["head_size"], kernel["block_size"]
        self.source = SOURCE_TYPES[kernel["source_type"]]
        # With `auto` the cache holds the source type and every bit is copied.
        self.copies = kernel["cache_type"] not in CACHE_TYPES
        self.cache = CACHE_TYPES.get(kernel["cache_type"], self.source)
        row = self.heads * self.size
        patterns = 65536 if self.source is not np.float32 else 131072
        self.tokens = math.ceil(patterns / row) + 5
        self.blocks = math.ceil(self.tokens / self.block) + 2
        self.stride = row + PAD
        # K and V as the halves of each block: [blocks, 2, block].
        strides = {"block": 2 * self.block * row, "page": row, "head": self.size}
        if kernel["layout"] == "hnd":
            strides |= {"page": self.size, "head": self.block * self.size}
        self.strides = strides
        self.slots = rng.permutation(self.blocks * self.block)[: self.tokens].astype(np.int64)
        skipped = rng.choice(self.tokens, 5, replace=False)
        self.slots[skipped[:2]] = -1
        if beyond:
            self.slots[skipped[2:]] = [self.blocks * self.block, self.blocks * self.block + 1, 1 << 62]
        self.rows = {name: aligned(self.tokens * self.stride, self.source) for name in ("key", "value")}
        self.pool = aligned(self.blocks * 2 * self.block * row, self.cache)
        self.out_of_range = np.zeros(1, np.uint64)

    def half(self, name):
        """The part of the pool that starts at K's or V's first element."""
        return self.pool[self.block * self.heads * self.size if name == "value" else 0 :]

    def places(self):
        """For each token that is not skipped its index, and its elements' offsets in a half: [tokens, heads, size]."""
        valid = np.flatnonzero((self.slots >= 0) & (self.slots < self.blocks * self.block))
        slots = self.slots[valid]
        rows = slots // self.block * self.strides["block"] + slots % self.block * self.strides["page"]
        heads = np.arange(self.heads)[:, None] * self.strides["head"]
        return valid, rows[:, None, None] + heads + np.arange(self.size)

    def tokens_of(self, array):
        """A row buffer as [tokens, heads, size], without the padding."""
        return array.reshape(self.tokens, self.stride)[:, : self.heads * self.size].reshape(self.tokens, self.heads, self.size)

    def argument(self, argument):
        """The value of an argument by its name, as ctypes takes it."""
        name = argument["name"]
        if argument["type"] != "ptr":
            scalars = {"num_tokens": self.tokens, "num_blocks": self.blocks, "key_stride": self.stride, "value_stride": self.stride}
            scalars |= {f"{x}_{s}_stride": self.strides[s] for x in ("key", "value") for s in self.strides}
            if name not in scalars:
                raise Mismatch(f"'{self.kernel['symbol']}' has the argument '{name}', which this script does not know")
            if scalars[name] % argument.get("divisible", 1):
                raise Mismatch(f"'{self.kernel['symbol']}' wants '{name}' divisible by {argument['divisible']}, but it is {scalars[name]}")
            return SCALARS[argument["type"]](scalars[name])
        arrays = {
            **self.rows,
            "key_cache": self.half("key"),
            "value_cache": self.half("value"),
            "slot_mapping": self.slots,
            "out_of_range": self.out_of_range,
            "k_scale": self.scales["k"],
            "v_scale": self.scales["v"],
        }
        if name not in arrays:
            raise Mismatch(f"'{self.kernel['symbol']}' has the argument '{name}', which this script does not know")
        address = arrays[name].ctypes.data
        if address % argument.get("align", 1):
            raise Mismatch(f"'{self.kernel['symbol']}' wants '{name}' aligned to {argument['align']} bytes, which its geometry does not give")
        return ctypes.c_void_p(address)

    def call(self, library):
        """Calls the kernel with its arguments in the manifest's order."""
        function = getattr(library, self.kernel["symbol"])
        function.restype = None
        function(*[self.argument(argument) for argument in self.kernel["args"]])
        counts = any(argument["name"] == "out_of_range" for argument in self.kernel["args"])
        beyond = np.count_nonzero(self.slots >= self.blocks * self.block) if counts else 0
        if self.out_of_range[0] != beyond:
            raise Mismatch(f"'{self.kernel['symbol']}' counts {self.out_of_range[0]} slots beyond the cache, not {beyond}")

    def compare(self, what, got, expected, inputs):
        """Raises Mismatch at the first difference of `got`."""
        wrong = np.flatnonzero(bits(got) != bits(expected)) if self.copies else differences(got, expected)
        if len(wrong):
            at = wrong[0]
            raise Mismatch(
                f"{what} of '{self.kernel['symbol']}': {len(wrong)} of {got.size} values differ, first {inputs.reshape(-1)[at]!r} gave "
                f"{bits(got.reshape(-1)[at : at + 1])[0]:#x}, not {bits(expected.reshape(-1)[at : at + 1])[0]:#x}"
            )

    def check_store(self, library):
        """All source values through store; returns how many."""
        valid, places = self.places()
        for array in self.rows.values():
            values = source_values(self.rng, self.source, len(valid) * self.heads * self.size)
            self.tokens_of(array)[valid] = values.reshape(len(valid), self.heads, self.size)
        before = self.pool.copy()
        self.call(library)
        untouched = np.ones(self.pool.size, bool)
        for name, letter in (("key", "k"), ("value", "v")):
            inputs = self.tokens_of(self.rows[name])[valid]
            expected = inputs if self.copies else stored(inputs, self.scales[letter][0], self.cache)
            self.compare(f"store of {name}s", self.half(name)[places].reshape(-1), expected.reshape(-1), inputs)
            untouched[places + (self.pool.size - self.half(name).size)] = False
        if (bits(self.pool)[untouched] != bits(before)[untouched]).any():
            raise Mismatch(f"store '{self.kernel['symbol']}' writes outside the rows that the slots name")
        return 2 * places.size

    def check_load(self, library):
        """All codes through load; returns how many values."""
        patterns = 1 << min(16, 8 * np.dtype(self.cache).itemsize)
        width = bits(self.pool).dtype
        bits(self.pool)[...] = self.rng.integers(0, np.iinfo(width).max, self.pool.size, width, endpoint=True)
        valid, places = self.places()
        for name in ("key", "value"):
            count = min(patterns, places.size)
            bits(self.half(name))[self.rng.permutation(places.reshape(-1))[:count]] = np.arange(count, dtype=width)
        before = {name: array.copy() for name, array in self.rows.items()}
        pool = self.pool.copy()
        self.call(library)
        if (bits(pool) != bits(self.pool)).any():
            raise Mismatch(f"load '{self.kernel['symbol']}' writes into the cache")
        for name, letter in (("key", "k"), ("value", "v")):
            inputs = self.half(name)[places]
            expected = before[name]
            results = inputs if self.copies else loaded(inputs, self.scales[letter][0], self.source)
            self.compare(f"load of {name}s", self.tokens_of(self.rows[name])[valid].reshape(-1), results.reshape(-1), inputs)
            bits(self.tokens_of(expected))[valid] = bits(self.tokens_of(self.rows[name])[valid])
            if (bits(expected) != bits(self.rows[name])).any():
                raise Mismatch(f"load '{self.kernel['symbol']}' writes outside the rows of its tokens")
        return 2 * places.size


def layer_scales(layer, target, kernel):
    """k and v as arrays of one float32: the layer's resolved ones, or where they are calculated on the fly one to pass as an argument."""
    scales = {}
    for letter, fallback in (("k", 0.037), ("v", 0.051)):
        value = (layer["scales"].get(target) or {}).get(letter)
        dynamic = (layer.get("calculate_kv_scales") or {}).get(target, False)
        scales[letter] = np.array([fallback if dynamic or not isinstance(value, (int, float)) else value], np.float32)
        baked = (kernel.get("scales") or {}).get(letter)
        if baked and baked.get("value") is not None and np.float32(baked["value"]) != scales[letter][0]:
            raise Mismatch(f"'{kernel['symbol']}' has the {letter} scale {baked['value']}, but layer '{layer['name']}' resolves to {value}")
    return scales


def check(folder, beyond=False):
    """Checks the artefact; returns (layers, kernels run, values stored, values loaded, layers whose layout is not known here)."""
    manifest = json.loads((folder / "manifest.json").read_text())
    hosts = [target for target in manifest["targets"] if target["backend"] == "host"]
    if not hosts:
        raise Mismatch("the artefact has no host target")
    layers, symbols, stores, loads, skipped = 0, set(), 0, 0, 0
    for target in hosts:
        library = ctypes.CDLL(str((folder / target["files"]["shared_object"]).resolve()))
        kernels = {kernel["symbol"]: kernel for kernel in manifest["kernels"] if kernel["target"] == target["target"]}
        for layer in manifest["layers"]:
            layers += 1
            for op, symbol in layer["kernels"][target["target"]].items():
                kernel = kernels[symbol]
                if kernel["layout"] not in LAYOUTS or op not in ("store", "load"):
                    skipped += 1
                    continue
                rng = np.random.default_rng(zlib.crc32(f"{layer['name']} {symbol}".encode()))
                case = Case(kernel, layer_scales(layer, target["target"], kernel), rng, beyond)
                symbols.add(symbol)
                if op == "store":
                    stores += case.check_store(library)
                else:
                    loads += case.check_load(library)
    return layers, len(symbols), stores, loads, skipped


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="what kvqc compile -o wrote, with a host target")
    parser.add_argument("--beyond", action="store_true", help="give some tokens slots beyond the cache")
    arguments = parser.parse_args()
    folder = arguments.folder
    try:
        layers, kernels, stores, loads, skipped = check(folder, arguments.beyond)
    except (Mismatch, OSError, KeyError, json.JSONDecodeError) as error:
        sys.exit(f"error: {folder}: {type(error).__name__ if isinstance(error, KeyError) else ''}{error}")
    if not stores + loads:
        sys.exit(f"error: {folder}: no kernel of a layout that this script knows ({', '.join(LAYOUTS)})")
    note = f"; {skipped} kernel uses of other layouts not run" if skipped else ""
    print(f"{layers} layers, {kernels} host kernels: {stores:,} values stored, {loads:,} loaded, 0 differences from ml_dtypes{note}")


if __name__ == "__main__":
    main()
