"""The package on torch's tensors on the CPU: views, custom operators, torch.compile, vLLM's functions. Skipped where torch is not installed."""

import gc
import weakref

import numpy as np
import pytest
from artefacts import FORMATS, NAME, SCALES, opened
from formulas import store

try:
    import torch
except ImportError:
    torch = None

# Each case is counted as skipped; a skipped file would be none.
pytestmark = pytest.mark.skipif(torch is None, reason="torch is not there")

HEADS, SIZE, ROWS, BLOCKS, TOKENS = 3, 32, 16, 4, 9
E4M3 = FORMATS["f8E4M3FN"]


def as_numpy(tensor, dtype):
    """A tensor's bits as an array of `dtype`."""
    return tensor.contiguous().view(torch.uint8).numpy().view(dtype)


@pytest.fixture
def layer(kvq, tmp_path):
    import kvq.torch

    artefact = opened(kvq, tmp_path, ops=["store", "load", "gather", "rescale", "quantize_query", "convert"])
    kvq.torch.bind(artefact)
    yield artefact.layers[0]
    kvq.torch.unbind(artefact)


def some_tensors(tokens=TOKENS):
    torch.manual_seed(1)
    projected = torch.randn(tokens, 2, HEADS, SIZE).to(torch.bfloat16)
    caches = torch.zeros(2, BLOCKS, ROWS, HEADS, SIZE, dtype=torch.float8_e4m3fn)
    return projected[:, 0], projected[:, 1], caches, torch.randperm(BLOCKS * ROWS)[:tokens]


def expected_codes(rows, scale):
    return store(rows.float().numpy(), SCALES[scale], E4M3).view(np.uint8)


def codes_at(cache, slots):
    return cache.view(torch.uint8)[slots // ROWS, slots % ROWS].numpy()


def test_views_of_tensors(layer):
    key, value, caches, slots = some_tensors()
    packed = torch.zeros(BLOCKS, ROWS, HEADS, 2 * SIZE, dtype=torch.uint8)
    for key_cache, value_cache in (caches, (packed[..., :SIZE], packed[..., SIZE:])):
        layer.store(key, value, key_cache, value_cache, slots)
        assert (codes_at(key_cache, slots) == expected_codes(key, "k")).all()
        assert (codes_at(value_cache, slots) == expected_codes(value, "v")).all()
    back = torch.zeros(2, TOKENS, HEADS, SIZE, dtype=torch.bfloat16)
    layer.load(back[0], back[1], *caches, slots)
    codes = caches.float()[:, slots // ROWS, slots % ROWS]
    assert torch.equal(back[0], (codes[0] * torch.tensor(SCALES["k"])).to(torch.bfloat16))
    layer.store(torch.nn.Parameter(key), value, *caches, slots)


def test_refusals(kvq, layer):
    key, value, caches, slots = some_tensors()
    with pytest.raises(kvq.Error, match="expected 'key' to hold 'bfloat16', but got 'float16'"):
        layer.store(key.half(), value, *caches, slots)
    with pytest.raises(kvq.Error, match="expected 'key_cache' to hold 'float8_e4m3fn' or 'uint8', but got 'float8_e5m2'"):
        layer.store(key, value, caches[0].view(torch.float8_e5m2), caches[1], slots)
    with pytest.raises(kvq.Error, match="expected 'key'"):
        layer.store(key.to("meta"), value, *caches, slots)


def test_no_reference_is_kept(layer):
    key, value, caches, slots = some_tensors()
    layer.store(key, value, *caches, slots)
    alive = weakref.ref(key)
    del key
    gc.collect()
    assert alive() is None


def test_custom_operator(kvq, layer):
    key, value, caches, slots = some_tensors()
    assert torch.ops.kvq.store(key, value, caches[0], caches[1], slots, NAME) is None
    assert (codes_at(caches[0], slots) == expected_codes(key, "k")).all()
    with pytest.raises(kvq.Error, match="expected a layer that is bound, but got 'other'"):
        torch.ops.kvq.store(key, value, caches[0], caches[1], slots, "other")
    with pytest.raises(kvq.Error, match="expected 'key_cache' to have the shape"):
        torch.ops.kvq.store(key, value, caches, caches[1], slots, NAME)


def test_schemas_say_what_the_kernels_write(kvq, kvqc, tmp_path):
    """The operators' tensors are the kernels', for every operation and both kinds of layers."""
    import kvq.torch

    for suffix, options in (("", {}), ("_mla", {"size": 96, "rank": 64, "layout": "mla"})):
        ops = [name.removesuffix("_mla") for name in kvq.torch._OPERATIONS if name.endswith("_mla") == bool(suffix)]
        for mode in ("fold", "argument"):
            (tmp_path / f"{suffix}{mode}").mkdir()
            [made] = opened(kvq, tmp_path / f"{suffix}{mode}", ops=ops, scales=mode, bounds="count", **options).layers
            for op in ops:
                schema = getattr(torch.ops.kvq, op + suffix).default._schema
                said = {argument.name: (argument.is_write, argument.kwarg_only) for argument in schema.arguments if argument.name != "layer"}
                needed = {name: (written, keyword) for name, written, keyword in made._operations[op].tensors}
                assert needed.items() <= said.items(), op
                if mode == "argument":
                    assert set(said) == set(needed), op


def test_opcheck(layer):
    key, value, caches, slots = some_tensors()
    torch.library.opcheck(torch.ops.kvq.store.default, (key, value, caches[0].view(torch.uint8), caches[1].view(torch.uint8), slots, NAME))
    back = torch.zeros(2, TOKENS, HEADS, SIZE, dtype=torch.bfloat16)
    uint8 = caches.view(torch.uint8)
    torch.library.opcheck(torch.ops.kvq.load.default, (back[0], back[1], uint8[0], uint8[1], slots, NAME))
    table, lens = torch.arange(4, dtype=torch.int32).reshape(2, 2), torch.tensor([0, 4, 9], dtype=torch.int32)
    torch.library.opcheck(torch.ops.kvq.gather.default, (back[0], back[1], uint8[0], uint8[1], table, lens, None, NAME))
    scales = {"from_k_scale": torch.ones(1), "from_v_scale": torch.ones(1)}
    torch.library.opcheck(torch.ops.kvq.rescale.default, (uint8[0], uint8[1], NAME), scales)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled(layer, backend):
    """One graph, and what it stores and loads is what the layer does."""
    key, value, caches, slots = some_tensors()

    def step(key, value, key_cache, value_cache, slots):
        torch.ops.kvq.store(key * 2, value, key_cache, value_cache, slots, NAME)
        rows = torch.empty_like(key), torch.empty_like(value)
        torch.ops.kvq.load(rows[0], rows[1], key_cache, value_cache, slots, NAME)
        return rows[0] + 1, rows[1]

    expected = caches.clone()
    wanted = step(key.contiguous(), value.contiguous(), *expected, slots)
    torch._dynamo.reset()
    compiled = torch.compile(step, backend=backend, fullgraph=True)
    for _ in range(2):
        got = compiled(key.contiguous(), value.contiguous(), *caches, slots)
        assert torch.equal(got[0], wanted[0]) and torch.equal(got[1], wanted[1])
        assert torch.equal(caches.view(torch.uint8), expected.view(torch.uint8))
    assert (codes_at(caches[0], slots) == expected_codes(key * 2, "k")).all()


def test_names_are_bound_once(kvq, tmp_path, layer):
    import kvq.torch

    other = kvq.open(tmp_path / "out", "host")
    with pytest.raises(kvq.Error, match=f"expected a name that is not bound yet, but got '{NAME}'"):
        kvq.torch.bind(other)
    kvq.torch.bind(other, prefix="draft.")
    assert kvq.torch.bound(f"draft.{NAME}") is other.layers[0] and kvq.torch.bound(NAME) is layer
    kvq.torch.unbind(other)
    with pytest.raises(kvq.Error):
        kvq.torch.bound(f"draft.{NAME}")


def test_vllms_function_compares_a_tensor_once(kvq, layer, monkeypatch):
    key, value, caches, slots = some_tensors()
    function = kvq.vllm.bind(layer)
    k_scale, v_scale = torch.tensor(SCALES["k"]), torch.full((HEADS,), float(SCALES["v"]))
    function(key, value, *caches, slots, "fp8", k_scale, v_scale)
    assert (codes_at(caches[1], slots) == expected_codes(value, "v")).all()

    compared = []
    numbers = kvq.vllm._numbers
    monkeypatch.setattr(kvq.vllm, "_numbers", lambda scale: compared.append(scale) or numbers(scale))
    function(key, value, *caches, slots, "fp8", k_scale, v_scale)
    assert not compared
    k_scale += 1
    with pytest.raises(kvq.Error, match="expected 'k_scale' to be"):
        function(key, value, *caches, slots, "fp8", k_scale, v_scale)
    with pytest.raises(kvq.Error, match="expected 'k_scale' to be"):
        function(key, value, *caches, slots, "fp8", k_scale, v_scale)
    k_scale -= 1
    k_scale.fill_(float(SCALES["k"]))
    function(key, value, *caches, slots, "fp8", k_scale, v_scale)
    with torch.inference_mode():
        function(key, value, *caches, slots, "fp8", torch.tensor(SCALES["k"]), v_scale)
