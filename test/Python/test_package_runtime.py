"""kvq.open and the operations of layers on the host, on numpy's arrays, against numpy and ml_dtypes."""

import ast
import concurrent.futures
import os
import subprocess
import sys

import numpy as np
import pytest
from artefacts import FORMATS, NAME, SCALES, SOURCES, layer_text, opened, random_bits, same
from formulas import load, store

HEADS, SIZE, ROWS, BLOCKS, TOKENS = 3, 32, 16, 5, 40
K, V = SCALES["k"], SCALES["v"]
E4M3 = FORMATS["f8E4M3FN"]


def packed_halves(layout, dtype):
    """K and V as the halves of one tensor, in the three ways of engines."""
    shape = (ROWS, HEADS, SIZE) if layout == "nhd" else (HEADS, ROWS, SIZE)
    first = np.zeros((2, BLOCKS, *shape), dtype)
    second = np.zeros((BLOCKS, 2, *shape), dtype)
    last = np.zeros((BLOCKS, *shape[:-1], 2 * SIZE), dtype)
    return [tuple(first), (second[:, 0], second[:, 1]), (last[..., :SIZE], last[..., SIZE:])]


def rows_at(cache, layout, slots):
    """The rows [tokens, heads, size] of a cache."""
    block, row = slots // ROWS, slots % ROWS
    return cache[block, row] if layout == "nhd" else cache[block, :, row]


def some_slots(random, dtype=np.int64):
    slots = random.permutation(BLOCKS * ROWS)[:TOKENS].astype(dtype)
    slots[::7] = -1
    slots[3] = BLOCKS * ROWS
    valid = np.flatnonzero((slots >= 0) & (slots < BLOCKS * ROWS))
    return slots, valid


@pytest.mark.parametrize("layout", ["nhd", "hnd"])
@pytest.mark.parametrize("source, dtype", [("bf16", "fp8"), ("f16", "fp8_e5m2"), ("f32", "fp8"), ("bf16", "auto")])
def test_store_and_load(kvq, tmp_path, layout, source, dtype):
    """Halves of packed caches, keys out of a packed projection, more rows than slots."""
    layer = opened(kvq, tmp_path, source=source, dtype=dtype, layout=layout).layers[0]
    random, wide = np.random.default_rng(1), SOURCES[source]
    narrow = FORMATS.get(layer.kernel("store")["cache_type"], wide)
    for pair in packed_halves(layout, narrow):
        projected = random_bits(random, (TOKENS + 2, 2, HEADS, SIZE), wide)
        key, value = projected[:, 0], projected[:, 1]
        slots, valid = some_slots(random)
        as_bytes = dtype != "auto" and pair[0].shape[-1] == pair[0].base.shape[-1]
        layer.store(key, value, *((half.view(np.uint8) for half in pair) if as_bytes else pair), slots)
        for half, rows, scale in zip(pair, (key, value), (K, V), strict=True):
            expected = rows[valid] if dtype == "auto" else store(rows[valid], scale, narrow)
            same(rows_at(half, layout, slots[valid]), np.ascontiguousarray(expected))
            untouched = np.setdiff1d(np.arange(BLOCKS * ROWS), slots[valid])
            assert not rows_at(half, layout, untouched).view(np.uint8).any()
        back = np.zeros((2, TOKENS, HEADS, SIZE), wide)
        layer.load(back[0], back[1], *pair, slots)
        for rows, half, scale in zip(back, pair, (K, V), strict=True):
            codes = rows_at(half, layout, slots[valid])
            same(rows[valid], codes if dtype == "auto" else load(codes, scale, wide))
            assert not np.delete(rows, valid, 0).view(np.uint8).any()


def test_scales_of_a_call_choose_the_kernel(kvq, tmp_path):
    layer = opened(kvq, tmp_path, scales="both").layers[0]
    assert layer.kernel("store")["may_take_scales"] and layer.kernel("store")["num_variants"] == 2
    assert layer.kernel("load")["scales"]["k"][1] == [K]
    random = np.random.default_rng(9)
    key, value = random_bits(random, (2, TOKENS, HEADS, SIZE), SOURCES["bf16"])
    slots, valid = some_slots(random)
    for given in ({}, {"k_scale": None, "v_scale": None}, {"k_scale": np.array([0.75], np.float32), "v_scale": np.array([3], np.float32)}):
        caches = np.zeros((2, BLOCKS, ROWS, HEADS, SIZE), E4M3)
        layer.store(key, value, *caches, slots, **given)
        used = (K, V) if given.get("k_scale") is None else (given["k_scale"][0], given["v_scale"][0])
        for cache, rows, scale in zip(caches, (key, value), used, strict=True):
            same(rows_at(cache, "nhd", slots[valid]), store(rows[valid], scale, E4M3))
    with pytest.raises(kvq.Error, match="expected a pointer for 'v_scale', but got null"):
        layer.store(key, value, *caches, slots, k_scale=np.array([0.75], np.float32))
    folded = opened(kvq, tmp_path).layers[0]
    assert not folded.kernel("store")["may_take_scales"]
    with pytest.raises(kvq.Error, match="but got 'k_scale'"):
        folded.store(key, value, *caches, slots, k_scale=np.array([0.75], np.float32))


def test_gather(kvq, tmp_path):
    layer = opened(kvq, tmp_path, ops=["gather"]).layers[0]
    random = np.random.default_rng(2)
    caches = random_bits(random, (2, BLOCKS, ROWS, HEADS, SIZE), E4M3)
    lengths, starts = np.array([3, 0, 17, 20], np.int32), np.array([1, 0, 2, 5], np.int32)
    table = random.integers(0, BLOCKS, (4, 3)).astype(np.int32)
    cu = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    for given in (starts, None):
        firsts = np.zeros(4, np.int32) if given is None else given
        slots = [table[s, (t + firsts[s]) // ROWS] * ROWS + (t + firsts[s]) % ROWS for s in range(4) for t in range(lengths[s])]
        rows = np.zeros((2, TOKENS + 4, HEADS, SIZE), SOURCES["bf16"])
        layer.gather(rows[0], rows[1], caches[0], caches[1], table, cu, given)
        for got, cache, scale in zip(rows, caches, (K, V), strict=True):
            same(got[: cu[-1]], load(rows_at(cache, "nhd", np.array(slots)), scale, got.dtype))
            assert not got[cu[-1] :].view(np.uint8).any()
        few = np.zeros_like(rows)
        layer.gather(few[0], few[1], caches[0], caches[1], table, cu, seq_starts=given, num_tokens=5)
        same(few[0, :5], rows[0, :5])
        assert not few[0, 5:].view(np.uint8).any()


def test_whole_caches(kvq, tmp_path):
    ops = ["convert", "convert_back", "transcode_to_ocp", "transcode_to_fnuz", "rescale"]
    layer = opened(kvq, tmp_path, ops=ops).layers[0]
    assert layer.ops == tuple(ops)
    random, shape = np.random.default_rng(3), (2, BLOCKS, ROWS, HEADS, SIZE)
    wide = random_bits(random, shape, SOURCES["bf16"])
    narrow = np.zeros(shape, E4M3)
    layer.convert(*wide, *narrow)
    for part, scale in enumerate((K, V)):
        same(narrow[part], store(wide[part], scale, E4M3))
    back = np.zeros(shape, SOURCES["bf16"])
    layer.convert_back(*narrow, *back)
    for part, scale in enumerate((K, V)):
        same(back[part], load(narrow[part], scale, back.dtype))
    fnuz = np.zeros(shape, FORMATS["f8E4M3FNUZ"])
    layer.transcode_to_fnuz(*narrow, *fnuz)
    same(fnuz, store(narrow.astype(np.float32), np.float32(2), fnuz.dtype))
    again = np.zeros(shape, np.uint8)
    layer.transcode_to_ocp(*fnuz, *again)
    same(again.view(E4M3), store(fnuz.astype(np.float32), np.float32(0.5), E4M3))
    old, before = [np.array([scale], np.float32) for scale in (0.75, 0.011)], narrow.copy()
    layer.rescale(*narrow, from_k_scale=old[0], from_v_scale=old[1])
    for part, scale in enumerate((K, V)):
        same(narrow[part], store(load(before[part], old[part][0], np.float32), scale, E4M3))


def test_rows(kvq, tmp_path):
    layer = opened(kvq, tmp_path, ops=["quantize_query", "quantize_prob", "compute_scales"]).layers[0]
    random = np.random.default_rng(4)
    query = random.standard_normal((7, HEADS * 4, SIZE)).astype(SOURCES["bf16"])
    codes = np.zeros((9, HEADS * 4, SIZE), np.uint8)
    layer.quantize_query(query, codes[:7])
    same(codes[:7].view(E4M3), store(query, SCALES["q"], E4M3))
    assert not codes[7:].any()
    prob = random.random((5, 37)).astype(SOURCES["bf16"])
    quantized = np.zeros((5, 37), E4M3)
    layer.quantize_prob(prob, quantized)
    same(quantized, store(prob, SCALES["prob"], E4M3))
    key, value = random.standard_normal((2, 7, HEADS, SIZE)).astype(SOURCES["bf16"])
    scales = np.zeros((3, 1), np.float32)
    layer.compute_scales(query, key, value, *scales)
    expected = [np.abs(rows.astype(np.float32)).max() / np.float32(constant) for rows, constant in ((query, 200), (key, 200), (value, 100))]
    assert scales.ravel().tolist() == [np.float32(scale) for scale in expected]


@pytest.mark.parametrize("layout", ["mla", "mla_segmented"])
def test_latent_layers(kvq, tmp_path, layout):
    layer = opened(kvq, tmp_path, size=96, rank=64, layout=layout).layers[0]
    random = np.random.default_rng(5)
    kv_c, k_pe = (random_bits(random, (TOKENS, size), SOURCES["bf16"]) for size in (64, 32))
    cache = np.zeros((BLOCKS, ROWS, 96), np.uint8)
    slots, valid = some_slots(random)
    layer.store(kv_c, k_pe[:, None], cache, slots)
    codes = cache.reshape(BLOCKS, -1).view(E4M3)
    cut = ROWS * 64
    latent = cache.view(E4M3)[..., :64] if layout == "mla" else codes[:, :cut].reshape(BLOCKS, ROWS, 64)
    rotary = cache.view(E4M3)[..., 64:] if layout == "mla" else codes[:, cut:].reshape(BLOCKS, ROWS, 32)
    at = slots[valid] // ROWS, slots[valid] % ROWS
    same(latent[at], store(kv_c[valid], K, E4M3))
    same(rotary[at], store(k_pe[valid], K, E4M3))
    back = [np.zeros_like(kv_c), np.zeros_like(k_pe)]
    layer.load(*back, cache, slots)
    same(back[0][valid], load(latent[at], K, kv_c.dtype))
    with pytest.raises(kvq.Error, match="expected 'kv_c' and 'k_pe' to have 96 elements a token together, but got 64 and 16"):
        layer.store(kv_c, k_pe[:, :16], cache, slots)


def test_paged(kvq, tmp_path):
    layer = opened(kvq, tmp_path, layout="paged").layers[0]
    random = np.random.default_rng(6)
    key, value = random_bits(random, (2, TOKENS, HEADS, SIZE), SOURCES["bf16"])
    key_cache, value_cache = np.zeros((BLOCKS, HEADS, SIZE // 16, ROWS, 16), E4M3), np.zeros((BLOCKS, HEADS, SIZE, ROWS), E4M3)
    slots, valid = some_slots(random)
    layer.store(key, value, key_cache, value_cache, slots)
    block, row = slots[valid] // ROWS, slots[valid] % ROWS
    same(key_cache.transpose(0, 3, 1, 2, 4)[block, row].reshape(-1, HEADS, SIZE), store(key[valid], K, E4M3))
    same(value_cache.transpose(0, 3, 1, 2)[block, row], store(value[valid], V, E4M3))
    flat = np.zeros((2, BLOCKS, HEADS * SIZE * ROWS), E4M3)
    layer.store(key, value, *flat, slots)
    assert flat[0].tobytes() == key_cache.tobytes() and flat[1].tobytes() == value_cache.tobytes()
    with pytest.raises(kvq.Error, match="expected 'value_cache' to have the shape .*num_blocks, 3, 32, 16. or .num_blocks, 1536., but got"):
        layer.store(key, value, key_cache, key_cache, slots)


def test_counts_and_scales_by_name(kvq, tmp_path):
    layer = opened(kvq, tmp_path, bounds="count", scales="argument", slot_type="i32").layers[0]
    random = np.random.default_rng(7)
    key, value = random_bits(random, (2, TOKENS, HEADS, SIZE), SOURCES["bf16"])
    caches, counter = np.zeros((2, BLOCKS, ROWS, HEADS, SIZE), np.uint8), np.array([7], np.int64)
    slots, valid = some_slots(random, np.int32)
    k_scale, v_scale = np.array(0.25, np.float32), np.array([[0.5]], np.float32)
    layer.store(key, value, *caches, slots, None, k_scale=k_scale, v_scale=v_scale, out_of_range=counter)
    assert counter[0] == 8
    same(rows_at(caches[1].view(E4M3), "nhd", slots[valid]), store(value[valid], np.float32(0.5), E4M3))
    with pytest.raises(kvq.Error, match="expected 'k_scale', but got none"):
        layer.store(key, value, *caches, slots, v_scale=v_scale, out_of_range=counter)
    with pytest.raises(kvq.Error, match=r"expected 'k_scale' to hold one element, but got the shape \[3\]"):
        layer.store(key, value, *caches, slots, k_scale=np.ones(3, np.float32), v_scale=v_scale, out_of_range=counter)


def refused(layer, kvq, message, *positions, **named):
    """Calls store with valid tensors but for those given by position or name."""
    random = np.random.default_rng(8)
    key, value = random_bits(random, (2, 4, HEADS, SIZE), SOURCES["bf16"])
    caches = np.zeros((2, BLOCKS, ROWS, HEADS, SIZE), np.uint8)
    tensors = {"key": key, "value": value, "key_cache": caches[0], "value_cache": caches[1], "slot_mapping": np.arange(4)} | named
    before = caches.copy()
    with pytest.raises(kvq.Error) as raised:
        layer.store(*positions, **tensors)
    assert f"layer '{NAME}', op 'store': {message}" in str(raised.value) or message == str(raised.value)
    assert (caches == before).all()


def zeros(*shape, dtype=np.uint8):
    return np.zeros(shape, dtype)


def test_refusals_name_the_argument(kvq, tmp_path):
    layer = opened(kvq, tmp_path).layers[0]
    bf16 = SOURCES["bf16"]
    read_only = zeros(BLOCKS, ROWS, HEADS, SIZE)
    read_only.flags.writeable = False
    cases = [
        ("expected 'key' to hold 'bfloat16', but got 'float32'", {"key": zeros(4, HEADS, SIZE, dtype=np.float32)}),
        ("expected 'key' to have the shape [num_tokens, 3, 32], but got [4, 3, 16]", {"key": zeros(4, HEADS, 16, dtype=bf16)}),
        ("expected 'value' to have the shape [num_tokens, 3, 32], but got [4, 96]", {"value": zeros(4, HEADS * SIZE, dtype=bf16)}),
        ("expected 'value' to have a row for each of 4 tokens, but got 3", {"value": zeros(3, HEADS, SIZE, dtype=bf16)}),
        (
            "expected 'key' to be compact from dimension 1 on, but got the strides [96, 1, 3] of the shape [4, 3, 32]",
            {"key": zeros(4, SIZE, HEADS, dtype=bf16).transpose(0, 2, 1)},
        ),
        ("expected 'key_cache' to hold 'float8_e4m3fn' or 'uint8', but got 'float8_e5m2'", {"key_cache": read_only.view(FORMATS["f8E5M2"])}),
        ("expected 'key_cache' to be writable, but got a read-only tensor", {"key_cache": read_only}),
        ("expected 'key_cache' to have the shape [num_blocks, 16, 3, 32], but got [5, 3, 16, 32]", {"key_cache": zeros(BLOCKS, HEADS, ROWS, SIZE)}),
        (
            "expected 'value_cache' to be compact from dimension 3 on, but got the strides [3072, 192, 64, 2] of the shape [5, 16, 3, 32]",
            {"value_cache": zeros(BLOCKS, ROWS, HEADS, 2 * SIZE)[..., ::2]},
        ),
        ("expected 'value_cache' to have as many blocks as 'key_cache', 5, but got 6", {"value_cache": zeros(6, ROWS, HEADS, SIZE)}),
        ("expected 'slot_mapping' to hold 'int64', but got 'int32'", {"slot_mapping": np.arange(4, dtype=np.int32)}),
        ("expected 'slot_mapping' to have the shape [num_tokens], but got [2, 2]", {"slot_mapping": np.arange(4).reshape(2, 2)}),
        (
            "expected 'slot_mapping' to be compact from dimension 0 on, but got the strides [2] of the shape [4]",
            {"slot_mapping": np.arange(8)[::2]},
        ),
        ("expected 'key' to be a tensor that speaks DLPack, but got 'list'", {"key": [[1.0]]}),
        ("expected 'key' to be a tensor that speaks DLPack, but got 'NoneType'", {"key": None}),
        ("expected 'key' to have an element type of DLPack, but got 'datetime64'", {"key": zeros(4, HEADS, SIZE, dtype="datetime64")}),
        ("expected 'key' to have an element type of DLPack, but got '>i2'", {"key": zeros(4, HEADS, SIZE, dtype=">i2")}),
        ("expected arguments among 'key', 'value', 'key_cache', 'value_cache', 'slot_mapping', 'stream', but got 'k_scale'", {"k_scale": None}),
        ("expected arguments among 'key', 'value', 'key_cache', 'value_cache', 'slot_mapping', 'stream', but got 'num_tokens'", {"num_tokens": 3}),
    ]
    for message, named in cases:
        refused(layer, kvq, message, **named)
    refused(layer, kvq, "expected 'key' once, but got it twice", zeros(4, HEADS, SIZE, dtype=bf16))
    with pytest.raises(kvq.Error, match="expected 'key_cache', but got none"):
        layer.store(zeros(1, HEADS, SIZE, dtype=bf16), zeros(1, HEADS, SIZE, dtype=bf16))
    with pytest.raises(kvq.Error, match="expected at most 5 tensors and a stream, but got 7 arguments"):
        layer.store(*range(7))


def test_refusals_of_open(kvq, tmp_path):
    artefact = opened(kvq, tmp_path)
    layer = artefact.layers[0]
    assert repr(artefact) == "<kvq.Artefact of 1 layers for 'host' on 'cpu'>" and (artefact.target, artefact.device) == ("host", "cpu")
    assert layer is artefact.layer(NAME) and layer.scales == {name: float(scale) for name, scale in SCALES.items()}
    with pytest.raises(kvq.Error, match=f"expected one of 1 layers .'{NAME}'., but got 'layer'"):
        artefact.layer("layer")
    with pytest.raises(kvq.Error, match=f"layer '{NAME}': expected an operation among 'store', 'load', but got 'rescale'; compile with it in 'ops'"):
        layer.rescale(None, None, from_k_scale=None, from_v_scale=None)
    for device in ("gpu", "cuda:x", "cuda:-1", 0):
        with pytest.raises(kvq.Error, match=f"expected 'device' to be .*, but got '{device}'"):
            kvq.open(tmp_path / "out", device)
    with pytest.raises(kvq.Error, match="absent"):
        kvq.open(tmp_path / "absent")
    with pytest.raises(kvq.Error, match="sm_90"):
        kvq.open(tmp_path / "out", target="sm_90")
    (tmp_path / "out" / "host.so").write_bytes(b"\x7fELF")
    with pytest.raises(kvq.Error, match="host.so"):
        kvq.open(tmp_path / "out")


def test_no_tokens_and_no_blocks(kvq, tmp_path):
    layer = opened(kvq, tmp_path).layers[0]
    rows, caches = zeros(4, HEADS, SIZE, dtype=SOURCES["bf16"]), zeros(2, BLOCKS, ROWS, HEADS, SIZE)
    layer.store(rows, rows, *caches, np.zeros(0, np.int64))
    layer.store(rows[:0], rows[:0], *caches, np.zeros(0, np.int64))
    layer.store(rows[:0], rows[:0], *caches[:, :0], np.zeros(0, np.int64))
    assert not caches.any()


def test_no_reference_is_kept(kvq, tmp_path):
    layer = opened(kvq, tmp_path).layers[0]
    arrays = [zeros(4, HEADS, SIZE, dtype=SOURCES["bf16"]), *zeros(2, BLOCKS, ROWS, HEADS, SIZE), np.arange(4)]
    before = [sys.getrefcount(array) for array in arrays]
    for _ in range(10):
        layer.store(arrays[0], arrays[0], *arrays[1:])
        with pytest.raises(kvq.Error):
            layer.store(arrays[0], arrays[0], *arrays[1:3], arrays[1])
    assert [sys.getrefcount(array) for array in arrays] == before
    arrays[3].resize(2)


def test_threads(kvq, tmp_path):
    """Concurrent calls into rows of their own; the interpreter's lock is free during each."""
    layer = opened(kvq, tmp_path).layers[0]
    caches = np.zeros((2, 8, ROWS, HEADS, SIZE), E4M3)
    key = np.random.default_rng(9).standard_normal((8, ROWS, HEADS, SIZE)).astype(SOURCES["bf16"])

    def work(block):
        for _ in range(50):
            layer.store(key[block], key[block], *caches, np.arange(ROWS) + block * ROWS)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    same(caches[0], store(key, K, E4M3))


def test_kernels_outlive_the_artefact(kvq, tmp_path):
    call = opened(kvq, tmp_path).layers[0].store
    rows, caches = np.ones((1, HEADS, SIZE), SOURCES["bf16"]), zeros(2, BLOCKS, ROWS, HEADS, SIZE)
    call(rows, rows, *caches, np.arange(1))
    assert caches[0, 0, 0].all()


def test_layers_of_different_geometry(kvq, tmp_path):
    (tmp_path / "model.mlir").write_text(layer_text(0, 3, 32) + layer_text(1, 2, 64))
    kvq.compile(tmp_path / "model.mlir", tmp_path / "out")
    artefact = kvq.open(tmp_path / "out", "cpu")
    assert [(layer.kernel("store")["num_kv_heads"], layer.kernel("store")["head_size"]) for layer in artefact.layers] == [(3, 32), (2, 64)]
    assert artefact.layers[0].kernel("load")["scales"] == {"k": ("multiply", [K]), "v": ("multiply", [V])}


def test_every_method_is_an_operation(kvq, kvqc):
    """The documented methods are the operations that kvqc has."""
    said = subprocess.run([kvqc, "compile", "x", "-o", "y", "--ops", "?"], capture_output=True, text=True).stderr
    ops = said.partition("one of ")[2].partition(", but got")[0].replace("'", "").split(", ")
    assert {"store", "load"} <= set(ops) and all(getattr(kvq.Layer, op).__doc__ for op in ops)


def test_open_needs_no_compiler(package_dir, kvq, tmp_path):
    """An engine's process loads neither LLVM nor MLIR."""
    opened(kvq, tmp_path)
    script = "import kvq, sys; kvq.open(sys.argv[1], 'host'); print('LLVM' in (maps := open('/proc/self/maps').read()) or 'MLIR' in maps)"
    environment = dict(os.environ, PYTHONPATH=str(package_dir))
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "out"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_stubs_and_marker(package_dir):
    for name in ("_compiler", "_runtime"):
        assert ast.parse((package_dir / "kvq" / f"{name}.pyi").read_text()).body
    assert (package_dir / "kvq" / "py.typed").exists()
