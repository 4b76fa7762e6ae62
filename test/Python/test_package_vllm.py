"""kvq.vllm in the place of vLLM's functions, on numpy's arrays; test_package_torch.py has what needs torch."""

import re

import numpy as np
import pytest
from artefacts import FORMATS, NAME, SCALES, SOURCES, opened, random_bits, same
from formulas import store

HEADS, SIZE, ROWS, BLOCKS, TOKENS = 3, 32, 16, 4, 9
E4M3 = FORMATS["f8E4M3FN"]
K, V = np.array([SCALES["k"]]), np.array([SCALES["v"]])


@pytest.fixture
def tensors():
    random = np.random.default_rng(11)
    rows = random_bits(random, (2, TOKENS + 3, HEADS, SIZE), SOURCES["bf16"])
    return rows[0], rows[1], random.permutation(BLOCKS * ROWS)[:TOKENS]


@pytest.mark.parametrize("layout", ["nhd", "hnd"])
def test_reshape_and_cache_flash(kvq, tmp_path, tensors, layout):
    key, value, slots = tensors
    function = kvq.vllm.bind(opened(kvq, tmp_path, layout=layout).layers[0])
    # vLLM shows the caches of either layout in the order of nhd.
    caches = np.zeros((2, BLOCKS, ROWS, HEADS, SIZE) if layout == "nhd" else (2, BLOCKS, HEADS, ROWS, SIZE), np.uint8)
    caches = caches if layout == "nhd" else caches.swapaxes(2, 3)
    for k_scale, v_scale in ((K, V), (np.repeat(K, HEADS), np.repeat(V, HEADS)), (float(K[0]), V[0])):
        caches[...] = 0
        function(key, value, caches[0], caches[1], slots, "fp8", k_scale, v_scale)
        for cache, rows, scale in zip(caches, (key, value), (K, V), strict=True):
            same(np.ascontiguousarray(cache[slots // ROWS, slots % ROWS]).view(E4M3), store(rows[:TOKENS], scale[0], E4M3))


def test_other_scales_are_refused(kvq, tmp_path, tensors):
    key, value, slots = tensors
    function = kvq.vllm.bind(opened(kvq, tmp_path).layers[0])
    caches = np.zeros((2, BLOCKS, ROWS, HEADS, SIZE), np.uint8)
    one_wrong = np.repeat(K, HEADS)
    one_wrong[1] = 0.5
    cases = [
        ("fp8", K + np.float32(1e-9), V, f"expected 'k_scale' to be {float(K[0])!r}, which the kernel was compiled with, but got "),
        ("fp8", one_wrong, V, "but got 0.5"),
        ("fp8", K, K, f"expected 'v_scale' to be 1.5, which the kernel was compiled with, but got {float(K[0])!r}"),
        ("fp8", np.array([np.nan], np.float32), V, "but got nan"),
        ("fp8_e5m2", K, V, "expected 'kv_cache_dtype' to be 'fp8' or 'fp8_e4m3', as compiled, but got 'fp8_e5m2'"),
        ("auto", K, V, "but got 'auto'"),
    ]
    for dtype, k_scale, v_scale, message in cases:
        with pytest.raises(kvq.Error, match=f"layer '{NAME}': .*{re.escape(message)}"):
            function(key, value, *caches, slots, dtype, k_scale, v_scale)
    assert not caches.any()


def test_scales_that_are_arguments_are_passed_on(kvq, tmp_path, tensors):
    key, value, slots = tensors
    function = kvq.vllm.bind(opened(kvq, tmp_path, scales="argument").layers[0])
    caches = np.zeros((2, BLOCKS, ROWS, HEADS, SIZE), E4M3)
    function(key, value, *caches, slots, "fp8", np.array([0.25], np.float32), np.array([0.5], np.float32))
    same(caches[0][slots // ROWS, slots % ROWS], store(key[:TOKENS], np.float32(0.25), E4M3))


def test_other_scales_go_to_the_kernel_that_takes_them(kvq, tmp_path, tensors):
    key, value, slots = tensors
    function = kvq.vllm.bind(opened(kvq, tmp_path, scales="both").layers[0])
    other = np.array([0.75], np.float32)
    for scales in ((K, V), (other, V), (K, other), (K, V)):
        caches = np.zeros((2, BLOCKS, ROWS, HEADS, SIZE), E4M3)
        function(key, value, *caches, slots, "fp8", *scales)
        for cache, rows, scale in zip(caches, (key, value), scales, strict=True):
            same(cache[slots // ROWS, slots % ROWS], store(rows[:TOKENS], scale[0], E4M3))


def test_copies_take_any_scale(kvq, tmp_path, tensors):
    key, value, slots = tensors
    function = kvq.vllm.bind(opened(kvq, tmp_path, dtype="auto").layers[0])
    caches = np.zeros((2, BLOCKS, ROWS, HEADS, SIZE), SOURCES["bf16"])
    function(key, value, *caches, slots, "auto", K * 3, V)
    assert (caches[1][slots // ROWS, slots % ROWS].view(np.uint16) == value[:TOKENS].view(np.uint16)).all()


def test_concat_and_cache_mla(kvq, tmp_path):
    function = kvq.vllm.bind(opened(kvq, tmp_path, size=96, rank=64, layout="mla").layers[0])
    random = np.random.default_rng(12)
    kv_c, k_pe = (random_bits(random, (TOKENS, size), SOURCES["bf16"]) for size in (64, 32))
    cache, slots = np.zeros((BLOCKS, ROWS, 96), E4M3), random.permutation(BLOCKS * ROWS)[:TOKENS]
    function(kv_c, k_pe, cache, slots, "fp8", K)
    same(cache[slots // ROWS, slots % ROWS], store(np.concatenate([kv_c, k_pe], 1), K[0], E4M3))
    with pytest.raises(kvq.Error, match="expected 'k_scale' to be"):
        function(kv_c, k_pe, cache, slots, "fp8", V)


def test_layouts_that_vllm_has_not(kvq, tmp_path):
    with pytest.raises(kvq.Error, match="expected the layout 'nhd' or 'hnd', but got 'paged'"):
        kvq.vllm.bind(opened(kvq, tmp_path, layout="paged").layers[0])
