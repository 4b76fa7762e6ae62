"""Where kernels read and write: geometries, strides, slots and bounds, with watched memory around all of it."""

import subprocess

import numpy as np
import pytest
from chips import EMULATED, representatives
from kernels import Kernels, sample
from manifests import manifest_of
from memory import CACHES, ROWS, Memory, expect, fenced

CHIPS = sample(representatives(), 4)
PAIR = (np.float32(0.0230712890625), np.float32(0.75))

# heads, head size, block size, source type: vectors of every width, rows shorter and longer than a thread block.
GEOMETRIES = [
    (8, 128, 16, "bf16"),
    (13, 46, 8, "f16"),
    (4, 80, 32, "f32"),
    (2, 96, 7, "bf16"),
    (1, 256, 1, "f16"),
    (4, 64, 16, "f32"),
    (3, 33, 7, "bf16"),
    (64, 256, 16, "bf16"),
    (1, 1, 1, "f16"),
]


def some_slots(random, tokens, blocks, rows, with_beyond=True):
    """A slot of its own for most tokens; some are negative, some beyond the cache."""
    slots = random.permutation(blocks * rows)[:tokens].astype(np.int64)
    slots = np.concatenate([slots, np.full(max(0, tokens - len(slots)), -1)])
    slots[2::7] = random.choice([-1, -rows, -(2**62), np.iinfo(np.int64).min], len(slots[2::7]))
    if with_beyond:
        slots[5::7] = random.choice([blocks * rows, blocks * rows + rows, 2**62, np.iinfo(np.int64).max], len(slots[5::7]))
    return slots


def fill(memory, random, kernels, is_cache):
    """Any codes, or any numbers; with nothing to convert any bits."""
    array = memory.array
    if is_cache or kernels.cache == "auto":
        array.view(np.uint8)[...] = random.integers(0, 256, array.view(np.uint8).shape, dtype=np.uint8)
    else:
        array[...] = random.normal(0, 3, array.shape).astype(array.dtype)


def check(
    kernels,
    op,
    random,
    tokens=37,
    blocks=5,
    cache_layout="compact",
    row_layout="compact",
    slots=None,
    num_blocks=None,
    num_tokens=None,
    shift=0,
    grid=None,
):
    """Runs one kernel on random memory and compares every byte with what should be there."""
    (cache_shape, cache_views), (row_shape, row_views) = CACHES[cache_layout], ROWS[row_layout]
    heads, size, rows = kernels.heads, kernels.head_size, kernels.block_size
    row_memory = Memory(row_shape(tokens, heads, size), kernels.source_type, shift)
    cache_memory = Memory(cache_shape(blocks, rows, heads, size), kernels.source_type if kernels.cache == "auto" else np.uint8, shift)
    fill(row_memory, random, kernels, is_cache=False)
    fill(cache_memory, random, kernels, is_cache=True)
    if kernels.cache != "auto":
        # NaN has many codes, which other tests look at.
        finite = np.nan_to_num(cache_memory.array.view(kernels.cache_type).astype(np.float32), posinf=1, neginf=-1)
        cache_memory.array[...] = finite.astype(kernels.cache_type).view(np.uint8)
    num_blocks = blocks if num_blocks is None else num_blocks
    if slots is None:
        slots = some_slots(random, tokens, num_blocks, rows, with_beyond=kernels.bounds != "off")
    num_tokens = len(slots) if num_tokens is None else num_tokens
    counter = Memory((1,), np.uint64)
    counter.array[0] = 100

    expected_rows, expected_caches = row_memory.copy(), cache_memory.copy()
    arguments = (row_views(expected_rows.array), cache_views(expected_caches.array), slots[: max(0, num_tokens)], num_blocks)
    beyond = expect(op, kernels, PAIR, *arguments)
    kernels.run(op, PAIR, *row_views(row_memory.array), *cache_views(cache_memory.array), slots, num_blocks, num_tokens, grid, counter.array)
    assert row_memory.same(expected_rows)
    assert cache_memory.same(expected_caches)
    assert counter.array[0] == 100 + (beyond if kernels.bounds == "count" else 0)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda geometry: "-".join(map(str, geometry)))
@pytest.mark.parametrize("chip", CHIPS)
def test_strides(build_dir, tmp_path, chip, geometry):
    heads, size, rows, source = geometry
    kernels = Kernels(build_dir, tmp_path, chip, source, "fp8", [PAIR], heads=heads, head_size=size, block_size=rows)
    random = np.random.default_rng(19)
    for index, cache_layout in enumerate(CACHES):
        for op in ("store", "load"):
            row_layout = list(ROWS)[index % 2]
            check(
                kernels, op, random, tokens=37 if heads * size < 4096 else 10, blocks=40 // rows + 1, cache_layout=cache_layout, row_layout=row_layout
            )


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("align", [1, 2, 4, 8, 16, 32])
def test_alignment(build_dir, tmp_path, chip, align):
    kernels = Kernels(build_dir, tmp_path, chip, "bf16", "fp8", [PAIR], heads=4, head_size=64, align=align)
    for op in ("store", "load"):
        check(kernels, op, np.random.default_rng(23), cache_layout="halves of a head", row_layout="of one product", shift=max(2, align))


@pytest.mark.parametrize("bounds", ["check", "count", "off"])
@pytest.mark.parametrize("chip", CHIPS)
def test_bounds(build_dir, tmp_path, chip, bounds):
    for index, heads in enumerate((2, 40)):
        folder = tmp_path / str(index)
        folder.mkdir()
        kernels = Kernels(build_dir, folder, chip, "bf16", "fp8", [PAIR], heads=heads, head_size=128, bounds=bounds)
        for op in ("store", "load"):
            random = np.random.default_rng(29)
            check(kernels, op, random)
            # Engines pad the rows beyond the slots, and a pool may be larger than what a kernel is told.
            check(kernels, op, random, tokens=37, num_tokens=11)
            check(kernels, op, random, num_blocks=3)
            for nothing in (0, -1, -5):
                check(kernels, op, random, num_tokens=nothing)
            if bounds != "off":
                check(kernels, op, random, num_blocks=0, slots=np.arange(-3, 20, dtype=np.int64))


@pytest.mark.parametrize("source", ["bf16", "f16", "f32"])
@pytest.mark.parametrize("chip", CHIPS)
def test_auto_copies_bits(build_dir, tmp_path, chip, source):
    for index, (heads, size) in enumerate(((8, 128), (3, 33))):
        folder = tmp_path / str(index)
        folder.mkdir()
        kernels = Kernels(build_dir, folder, chip, source, "auto", [PAIR], heads=heads, head_size=size)
        for op in ("store", "load"):
            check(kernels, op, np.random.default_rng(31), cache_layout="mixed", row_layout="of one product")


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda geometry: "-".join(map(str, geometry)))
@pytest.mark.parametrize("chip", [chip for chip in CHIPS if chip in EMULATED])
def test_the_manifests_grid(build_dir, tmp_path, kvqc, chip, geometry):
    heads, size, rows, source = geometry
    kernels = Kernels(build_dir, tmp_path, chip, source, "fp8", [PAIR], heads=heads, head_size=size, block_size=rows)
    command = [kvqc, "compile", tmp_path / "kernels.mlir", "-o", tmp_path / "out", "--target", chip, "--block-size", str(rows)]
    subprocess.run(command, check=True, capture_output=True)
    manifest = manifest_of(tmp_path / "out")
    described = {kernel["op"]: kernel for kernel in manifest["kernels"]}
    for op in ("store", "load"):
        assert described[op]["symbol"] == kernels.symbol(op, PAIR)
        grid = described[op]["grid"][0]
        grid, blocks_per_row = grid["mul"] if isinstance(grid, dict) and "mul" in grid else (grid, 1)
        name, per_block = grid["ceil_div"] if isinstance(grid, dict) else (grid, 1)
        assert name == "num_tokens"
        slots = np.arange(2 * per_block + 1, dtype=np.int64)
        blocks = len(slots) // rows + 1
        for tokens, grid in ((0, 0), (1, 1), (per_block, 1), (per_block + 1, 2), (2 * per_block, 2)):
            check(kernels, op, np.random.default_rng(47), len(slots), blocks, slots=slots, num_tokens=tokens, grid=grid * blocks_per_row)


@pytest.mark.parametrize("at_end", [False, True], ids=["start", "end"])
@pytest.mark.parametrize("chip", CHIPS)
def test_nothing_else_is_read(build_dir, tmp_path, chip, at_end):
    """A kernel that reads or writes outside its arrays ends the process."""
    for index, (heads, size, rows, source) in enumerate(((8, 128, 16, "bf16"), (13, 46, 8, "f16"), (3, 33, 7, "bf16"), (1, 20, 1, "f32"))):
        folder = tmp_path / str(index)
        folder.mkdir()
        kernels = Kernels(build_dir, folder, chip, source, "fp8", [PAIR], heads=heads, head_size=size, block_size=rows)
        for op in ("store", "load"):
            key, value = (fenced((3, heads, size), kernels.source_type, at_end) for _ in range(2))
            caches = [fenced((4, rows, heads, size), np.uint8, at_end) for _ in range(2)]
            slots = fenced((3,), np.int64, at_end)
            slots[...] = (0, 4 * rows - 1, 4 * rows)
            kernels.run(op, PAIR, key, value, *caches, slots)


def test_the_last_of_two_tokens_wins(build_dir, tmp_path):
    kernels = Kernels(build_dir, tmp_path, "host", "bf16", "fp8", [PAIR])
    check(kernels, "store", np.random.default_rng(37), slots=np.array([3, 9, 3, 3, 9, 40, 3], np.int64))


@pytest.mark.parametrize("chip", CHIPS)
def test_two_tokens_may_load_one_slot(build_dir, tmp_path, chip):
    kernels = Kernels(build_dir, tmp_path, chip, "bf16", "fp8", [PAIR])
    check(kernels, "load", np.random.default_rng(41), slots=np.array([3, 9, 3, 3, 9, 40, 3], np.int64))
