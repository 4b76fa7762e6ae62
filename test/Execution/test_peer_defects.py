"""Defects that other engines' cache kernels had, each in a test that names its report."""

import json
import subprocess

import ml_dtypes
import numpy as np
import pytest
from chips import BACKENDS, is_fnuz
from formulas import FORMATS, SOURCES, differences, load, store
from kernels import build_described, run_described, sample
from manifests import manifest_of

CHIPS = sample(["host", "sm_80", "sm_90", "gfx942", "gfx950"], 2)
K_SCALE, V_SCALE = np.float32(0.0230712890625), np.float32(1.5)


def attention(heads, size, k, v, source="bf16", dtype="fp8", layout=None, index=0):
    """A layer in IR with the scales of a checkpoint."""
    order = f"layout <{layout}> " if layout else ""
    return (
        f"kvq.attention @layer{index} index {index} geometry <heads = {heads}, kv_heads = {heads}, head_size = {size}> source {source} "
        f"cache {dtype} {order}checkpoint(k = {k:.9e}, v = {v:.9e})\n"
    )


class Layer:
    """A store and a load kernel of one layer, and the manifest's words on them."""

    def __init__(self, build_dir, kvqc, folder, chip, heads, size, rows, layout="nhd", source="bf16", dtype="fp8", options=(), k=K_SCALE, v=V_SCALE):
        self.chip, self.heads, self.size, self.rows, self.source = chip, heads, size, rows, SOURCES[source]
        self.scales = (np.float32(k), np.float32(v))
        factor = np.float32(2 if is_fnuz(chip) else 1)
        text = attention(heads, size, self.scales[0] / factor, self.scales[1] / factor, source, dtype, layout)
        self.library, manifest = build_described(build_dir, kvqc, folder, text, chip, [f"block-size={rows}", *options])
        self.kernels = {kernel["op"]: kernel for kernel in manifest["kernels"]}
        self.cache_type = FORMATS[self.kernels["store"]["cache_type"]]

    def run(self, op, rows, caches, slots, num_tokens=None, num_blocks=None, **more):
        """Runs on rows [tokens, heads, size] and caches [blocks, rows, heads, size], views of any strides."""
        values = {"slot_mapping": slots, "num_tokens": len(slots) if num_tokens is None else num_tokens}
        values["num_blocks"] = len(caches[0]) if num_blocks is None else num_blocks
        for name, row, cache in zip(("key", "value"), rows, caches, strict=True):
            values |= {name: row, f"{name}_cache": cache, f"{name}_stride": row.strides[0] // row.itemsize}
            for axis, stride in enumerate(("block", "page", "head")):
                if any(argument["name"] == f"{name}_{stride}_stride" for argument in self.kernels[op]["args"]):
                    values[f"{name}_{stride}_stride"] = cache.strides[axis] // cache.itemsize
        run_described(self.library, self.kernels[op], BACKENDS[self.chip] != "host", values | more)

    def numbers(self, tokens, seed=3):
        """Rows of K and V, the slices of one tensor."""
        qkv = np.random.default_rng(seed).normal(0, 8, (tokens, 3, self.heads, self.size)).astype(self.source)
        return qkv[:, 1], qkv[:, 2]

    def codes(self, rows, part):
        """What a store of rows has to give."""
        return store(rows, self.scales[part], self.cache_type)

    def check(self, rows, caches, slots):
        """That a store puts every token where its slot is, that a load brings it back, and that nothing else changes."""
        before = [cache.copy() for cache in caches]
        self.run("store", rows, caches, slots)
        back = [np.zeros_like(row) for row in rows]
        self.run("load", back, caches, slots)
        for part, (row, cache, old) in enumerate(zip(rows, caches, before, strict=True)):
            expected = self.codes(row, part)
            for token, slot in enumerate(slots):
                old[divmod(int(slot), self.rows)] = expected[token]
            assert differences(np.ascontiguousarray(cache), old) == 0
            assert differences(back[part], load(expected, self.scales[part], self.source)) == 0


@pytest.fixture
def make(build_dir, kvqc, tmp_path):
    """Makes a layer's kernels."""

    def make(*arguments, **named):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return Layer(build_dir, kvqc, folder, *arguments, **named)

    return make


def compact(layer, blocks):
    """Caches of zeros [blocks, rows, heads, size]."""
    return [np.zeros((blocks, layer.rows, layer.heads, layer.size), layer.cache_type) for _ in range(2)]


def at_offset(array, offset):
    """A copy that starts `offset` bytes beyond a multiple of 64."""
    whole = np.zeros(array.nbytes + 128, np.uint8)
    start = -whole.ctypes.data % 64 + offset
    copy = whole[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize("chip", CHIPS)
def test_vllm_41257_vectors_of_13_heads_of_46(make, chip):
    """Rows of 598 bytes allow two bytes at a time in the cache, although the source allows four and more."""
    layer = make(chip, 13, 46, 8)
    aligns = {argument["name"]: argument.get("align", argument.get("divisible")) for argument in layer.kernels["store"]["args"]}
    for stride in ("page", "head"):
        assert 46 % aligns.get(f"key_{stride}_stride", 1) == 0
    assert aligns["key_cache"] <= 2
    slots = np.array([1, 0, 15, 8], np.int64)
    caches = [at_offset(cache, 2) for cache in compact(layer, 2)]
    layer.check([np.ascontiguousarray(rows) for rows in layer.numbers(4)], caches, slots)


@pytest.mark.parametrize("heads, source", [(33, "bf16"), (65, "f16")])
@pytest.mark.parametrize("chip", CHIPS)
def test_vllm_x_packed_heads_beyond_512_vectors(make, chip, heads, source):
    """More (head, vector) pairs than threads: none stays unwritten."""
    layer = make(chip, heads, 128, 16, layout="paged", source=source)
    blocks, x = 2, 16
    key_cache = np.zeros((blocks, heads, 128 // x, 16, x), layer.cache_type)
    value_cache = np.zeros((blocks, heads, 128, 16), layer.cache_type)
    rows, slots = layer.numbers(3), np.array([31, 0, 17], np.int64)
    rows = [np.ascontiguousarray(row) for row in rows]
    layer.run("store", rows, [key_cache, value_cache], slots)
    for token, slot in enumerate(slots):
        block, row = divmod(int(slot), 16)
        key = key_cache[block, :, :, row].reshape(heads, 128)
        assert differences(np.ascontiguousarray(key), layer.codes(rows[0], 0)[token]) == 0
        assert differences(np.ascontiguousarray(value_cache[block, :, :, row]), layer.codes(rows[1], 1)[token]) == 0


def test_vllm_x_packed_rest_of_a_head(kvqc, tmp_path):
    """A head size that x does not divide is refused, where a kernel would never store its end."""
    module = tmp_path / "model.mlir"
    module.write_text(attention(2, 72, 0.5, 0.5))
    done = subprocess.run([kvqc, "compile", module, "-o", tmp_path / "out", "--layout", "paged"], capture_output=True, text=True)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "72" in line and "16" in line and "error:" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("heads", [65, 1030])
@pytest.mark.parametrize("chip", CHIPS)
def test_lmcache_4154_more_heads_than_threads(make, chip, heads):
    layer = make(chip, heads, 16, 4)
    layer.check(layer.numbers(3), compact(layer, 2), np.array([7, 0, 2], np.int64))


@pytest.mark.parametrize("chip", CHIPS)
def test_vllm_xpu_kernels_429_halves_of_one_tensor(make, chip):
    """K and V as the halves of each head of one tensor, and of each block: strides are arguments."""
    layer = make(chip, 4, 64, 16)
    slots = np.array([33, 1, 16], np.int64)
    whole = np.zeros((3, 16, 4, 128), layer.cache_type)
    layer.check(layer.numbers(3), [whole[..., :64], whole[..., 64:]], slots)
    whole = np.zeros((3, 2, 16, 4, 64), layer.cache_type)
    layer.check(layer.numbers(3), [whole[:, 0], whole[:, 1]], slots)


@pytest.mark.parametrize("layout", ["nhd", "hnd"])
@pytest.mark.parametrize("chip", CHIPS)
def test_vllm_47056_and_49012_slots_by_the_blocks_rows(make, chip, layout):
    """Neither another block size nor the number of heads is what a slot is divided by; the manifest tells it for a check against the tensor."""
    layer = make(chip, 3, 32, 24, layout=layout)
    assert layer.kernels["store"]["block_size"] == 24
    caches = compact(layer, 4)
    if layout == "hnd":
        caches = [np.zeros((4, 3, 24, 32), layer.cache_type).swapaxes(1, 2) for _ in range(2)]
    layer.check(layer.numbers(6), caches, np.array([3, 23, 24, 25, 71, 95], np.int64))


def sparse(folder, name, size, cache_type):
    """Bytes of a file with holes, which take memory where they are touched."""
    return np.memmap(folder / name, np.uint8, "w+", shape=size).view(cache_type)


@pytest.mark.parametrize("chip", CHIPS)
def test_vllm_xpu_kernels_445_block_times_stride_beyond_32_bits(make, tmp_path, chip):
    """Block 2,066 of blocks 1,039,680 elements apart, the figures of the report."""
    block, stride = 2066, 1039680
    layer = make(chip, 8, 128, 16)
    caches = []
    for name in ("key", "value"):
        whole = sparse(tmp_path, name, (block + 1) * stride, layer.cache_type)
        caches.append(np.lib.stride_tricks.as_strided(whole, (block + 1, 16, 8, 128), (stride, 1024, 128, 1)))
    rows, slots = layer.numbers(2), np.array([block * 16 + 5, 0], np.int64)
    layer.run("store", rows, caches, slots)
    for part in range(2):
        expected = layer.codes(rows[part], part)
        assert differences(np.ascontiguousarray(caches[part][block, 5]), expected[0]) == 0
        assert differences(np.ascontiguousarray(caches[part][0, 0]), expected[1]) == 0


@pytest.mark.parametrize("chip", CHIPS)
def test_vllm_1486_slots_beyond_32_bits(make, tmp_path, chip):
    layer = make(chip, 1, 1, 16)
    blocks = 2**28 + 2
    caches = [sparse(tmp_path, name, blocks * 16, layer.cache_type).reshape(blocks, 16, 1, 1) for name in ("key", "value")]
    rows = layer.numbers(3)
    slots = np.array([2**31, 2**32 + 17, 2**31 - 1], np.int64)
    layer.run("store", rows, caches, slots)
    for part in range(2):
        expected = layer.codes(rows[part], part)
        assert differences(np.ascontiguousarray(caches[part][2**27, 0]), expected[0]) == 0
        assert differences(np.ascontiguousarray(caches[part][2**28 + 1, 1]), expected[1]) == 0
        assert differences(np.ascontiguousarray(caches[part][2**27 - 1, 15]), expected[2]) == 0


@pytest.mark.parametrize("chip", CHIPS)
def test_flashinfer_3740_slots_out_of_range(make, chip):
    """Slots beyond the cache write nothing, whatever lies behind it."""
    layer = make(chip, 4, 64, 16)
    caches = compact(layer, 6)
    before = [cache.copy() for cache in caches]
    layer.run("store", layer.numbers(4), caches, np.array([32, 47, 2**40, 95], np.int64), num_blocks=2)
    for cache, old in zip(caches, before, strict=True):
        assert (cache.view(np.uint8) == old.view(np.uint8)).all()


@pytest.mark.parametrize("chip", CHIPS)
def test_vllm_27909_columns_beyond_a_block_table(build_dir, kvqc, tmp_path, chip):
    """A sequence that claims more pages than its row of the table has reads none of the next sequence's."""
    text = attention(2, 32, 0.5, 0.5)
    library, manifest = build_described(build_dir, kvqc, tmp_path, text, chip, ["block-size=4", "ops=gather"])
    [kernel] = manifest["kernels"]
    cache_type = FORMATS[kernel["cache_type"]]
    random = np.random.default_rng(5)
    caches = [random.normal(0, 4, (5, 4, 2, 32)).astype(cache_type) for _ in range(2)]
    table = np.array([[3, 1], [2, 4]], np.int32)
    lengths = np.array([11, 6])
    cu = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    rows = [np.full((17, 2, 32), 7, SOURCES["bf16"]) for _ in range(2)]
    values = {"block_table": table, "cu_seq_lens": cu, "seq_starts": None, "batch": 2, "num_tokens": 17, "block_table_stride": 2, "num_blocks": 5}
    for name, row, cache in zip(("key", "value"), rows, caches, strict=True):
        values |= {name: row, f"{name}_cache": cache, f"{name}_stride": 64}
        values |= {f"{name}_block_stride": 256, f"{name}_page_stride": 64, f"{name}_head_stride": 32}
    run_described(library, kernel, BACKENDS[chip] != "host", values)
    scale = np.float32(1.0 if is_fnuz(chip) else 0.5)
    for row, cache in zip(rows, caches, strict=True):
        for sequence in range(2):
            for token in range(lengths[sequence]):
                page, at = divmod(token, 4)
                got = row[cu[sequence] + token]
                expected = load(cache[table[sequence, page], at], scale, SOURCES["bf16"]) if page < 2 else np.full_like(got, 7)
                assert differences(got, expected) == 0


@pytest.mark.parametrize("chip", CHIPS)
def test_sglang_36003_padding_goes_to_a_reserved_slot(make, chip):
    """Rows of padding, NaN among them, that an engine gives slot 0 leave slot 0 as it is."""
    layer = make(chip, 4, 64, 16, options=["padding-slot=0"])
    rows = [np.array(row) for row in layer.numbers(5)]
    for row in rows:
        row[2:] = np.nan
    caches = compact(layer, 2)
    layer.run("store", rows, caches, np.array([9, 30, 0, 0, 0], np.int64))
    for part, cache in enumerate(caches):
        assert not cache[0, 0].view(np.uint8).any()
        assert differences(np.ascontiguousarray(cache[0, 9]), layer.codes(rows[part], part)[0]) == 0
        assert not np.isnan(cache.astype(np.float32)).any()


@pytest.mark.parametrize("chip", CHIPS)
def test_aiter_tokens_are_counted_by_the_slots(make, chip):
    """Key and value are padded beyond the slots; what lies behind the slots is not read."""
    layer = make(chip, 4, 64, 16)
    # Slots that would be taken, were the rows counted.
    slots = np.arange(8, dtype=np.int64)
    caches = compact(layer, 1)
    rows = layer.numbers(8)
    layer.run("store", rows, caches, slots, num_tokens=3)
    for part, cache in enumerate(caches):
        assert differences(np.ascontiguousarray(cache[0, :3]), layer.codes(rows[part], part)[:3]) == 0
        assert not cache[0, 3:].view(np.uint8).any()


def test_vllm_45562_fnuz_bytes_are_not_taken_for_ocp(build_dir, kvqc, tmp_path):
    """One checkpoint on a fnuz and on an OCP chip: symbols, manifest and bytes differ."""
    kernels = {}
    for chip in ("gfx942", "gfx950"):
        folder = tmp_path / chip
        folder.mkdir()
        text = attention(2, 32, 0.5, 0.5)
        _, manifest = build_described(build_dir, kvqc, folder, text, chip, ["block-size=4", "ops=store"])
        [kernels[chip]] = manifest["kernels"]
        [target] = manifest["targets"]
        assert target["fnuz"] == (chip == "gfx942")
        assert target["cache_type"] == kernels[chip]["cache_type"]
    assert [kernels[chip]["cache_type"] for chip in kernels] == ["f8E4M3FNUZ", "f8E4M3FN"]
    assert [kernels[chip]["scales"]["k"]["value"] for chip in kernels] == [1.0, 0.5]
    for kernel in kernels.values():
        assert f"_{kernel['cache_type']}_" in kernel["symbol"]
    assert kernels["gfx942"]["symbol"] != kernels["gfx950"]["symbol"]


@pytest.mark.parametrize("fnuz", [False, True], ids=["ocp", "fnuz"])
@pytest.mark.parametrize("dtype", ["fp8", "fp8_e5m2"])
@pytest.mark.parametrize("source", SOURCES)
def test_triton_10745_3997_7337_11753_casts(build_dir, kvqc, tmp_path, source, dtype, fnuz):
    """On the host and as chips with and without conversions of their own: fnuz 0x80 is NaN and never -0, stores saturate, ties go to even."""
    chips = ["host", "gfx942"] if fnuz else ["host", "sm_80", "sm_89", "gfx90a", "gfx950"]
    for chip in sample(chips, 2):
        folder = tmp_path / chip
        folder.mkdir()
        scale = np.float32(1.0)
        raw = scale / 2 if fnuz else scale
        text = attention(1, 256, raw, raw, source, dtype)
        library, manifest = build_described(build_dir, kvqc, folder, text, chip, ["block-size=1"], fnuz=fnuz)
        kernels = {kernel["op"]: kernel for kernel in manifest["kernels"]}
        cache_type = FORMATS[kernels["store"]["cache_type"]]
        assert manifest["targets"][0]["fnuz"] == fnuz
        every = np.arange(256, dtype=np.uint8).reshape(1, 256)
        numbers = every.view(cache_type).astype(np.float64)
        finite = np.unique(numbers[np.isfinite(numbers)])
        # Each tie between neighbours in the cache's format, and what is beyond its range.
        ties = np.concatenate([(finite[1:] + finite[:-1]) / 2, [0.0, -0.0, 1e5, -1e5, 57344.0, 61440.0, np.inf, -np.inf, np.nan]])
        with np.errstate(over="ignore"):
            ties = np.resize(ties, 512).reshape(2, 1, 256).astype(SOURCES[source])
        caches = [every.copy().reshape(1, 1, 1, 256), np.zeros((1, 1, 1, 256), np.uint8)]
        strides = {f"{name}_{stride}_stride": 256 for name in ("key", "value") for stride in ("block", "page", "head")}
        values = {"slot_mapping": np.zeros(1, np.int64), "num_tokens": 1, "num_blocks": 1, "key_stride": 256, "value_stride": 256} | strides
        loaded = [np.zeros((1, 1, 256), SOURCES[source]) for _ in range(2)]
        values |= {"key_cache": caches[0], "value_cache": caches[1]}
        emulated = BACKENDS[chip] != "host"
        run_described(library, kernels["load"], emulated, values | {"key": loaded[0], "value": loaded[1]})
        assert differences(loaded[0].ravel(), every.ravel().view(cache_type).astype(np.float32).astype(SOURCES[source])) == 0
        if fnuz:
            assert np.isnan(loaded[0][0, 0, 0x80].astype(np.float32))
        run_described(library, kernels["store"], emulated, values | {"key": ties[:1], "value": ties[1:]})
        largest = float(ml_dtypes.finfo(cache_type).max)
        for tie, cache in zip(ties, caches, strict=True):
            codes = cache.view(cache_type).ravel()
            exact = tie.ravel().astype(np.float64)
            assert differences(codes, store(tie.ravel(), scale, cache_type)) == 0
            assert (np.isnan(codes.astype(np.float32)) == np.isnan(exact)).all()
            assert (codes.astype(np.float64)[exact > largest] == largest).all()
            if fnuz:
                assert (codes.view(np.uint8)[exact == 0] == 0).all()


def test_tensorrt_llm_16916_and_sglang_18882_scales_arrive(make):
    """Every layout's kernels use the checkpoint's scales, and the manifest tells them."""
    for layout in ("nhd", "hnd", "paged", "paged_interleaved"):
        layer = make("host", 2, 32, 16, layout=layout)
        for op in ("store", "load"):
            scales = layer.kernels[op]["scales"]
            assert {name: np.float32(scale["value"]) for name, scale in scales.items()} == {"k": K_SCALE, "v": V_SCALE}
        rows = [np.ascontiguousarray(row) for row in layer.numbers(16)]
        caches = compact(layer, 1)
        layer.run("store", rows, caches, np.arange(16, dtype=np.int64))
        for part in range(2):
            # All rows of a block are there, in whatever order.
            assert (np.sort(caches[part].view(np.uint8).ravel()) == np.sort(layer.codes(rows[part], part).view(np.uint8).ravel())).all()


def test_doubling_has_one_place(kvqc, tmp_path):
    """What the checkpoint says and what a fnuz chip's kernels take stand beside each other, and the kernels take the second."""
    module = tmp_path / "model.mlir"
    module.write_text(attention(2, 32, 0.375, 0.25))
    done = subprocess.run([kvqc, "inspect", module, "--target", "gfx942", "--format", "json"], check=True, capture_output=True, text=True)
    [layer] = json.loads(done.stdout)["layers"]
    assert (layer["checkpoint"]["k"], layer["resolved"]["k"]) == (0.375, 0.75)
    subprocess.run([kvqc, "compile", module, "-o", tmp_path / "out", "--target", "gfx942"], check=True, capture_output=True)
    manifest = manifest_of(tmp_path / "out")
    assert {kernel["scales"]["k"]["value"] for kernel in manifest["kernels"]} == {0.75}
    assert manifest["layers"][0]["scales"]["gfx942"]["k"] == 0.75


def test_lmcache_2494_the_layout_is_told(kvqc, tmp_path):
    """The manifest names each kernel's layout, and spells out a map that has no name."""
    module = tmp_path / "model.mlir"
    layouts = ["nhd", "hnd", "affine_map<(n, h, d) -> (d, h, n)>"]
    module.write_text("".join(attention(2, 32, 0.5, 0.5, layout=layout, index=index) for index, layout in enumerate(layouts)))
    subprocess.run([kvqc, "compile", module, "-o", tmp_path / "out", "--ops", "store"], check=True, capture_output=True)
    manifest = manifest_of(tmp_path / "out")
    told = {kernel["symbol"]: kernel["layout"] for kernel in manifest["kernels"]}
    assert [told[layer["kernels"]["host"]["store"]] for layer in manifest["layers"]][:2] == ["nhd", "hnd"]
    spelled = told[manifest["layers"][2]["kernels"]["host"]["store"]]
    assert spelled == "(d0, d1, d2) -> (d2, d1, d0)"
