"""The package on torch's tensors on a GPU: streams, CUDA graphs, torch.compile, other frameworks, the example. Skipped where there is none."""

import re

import numpy as np
import pytest
from artefacts import FORMATS, NAME, SCALES, SOURCES, layer_text, opened, same
from chips import is_fnuz
from formulas import cache_format, load, scales, store
from test_package_example import decode

try:
    import torch
except ImportError:
    torch = None

# Each case is counted as skipped; a skipped file would be none.
pytestmark = pytest.mark.skipif(torch is None or not torch.cuda.is_available(), reason="torch sees no GPU")

HEADS, SIZE, ROWS, BLOCKS, TOKENS = 4, 64, 16, 32, 150
OPS = ["store", "load", "gather", "quantize_query", "compute_scales"]


@pytest.fixture(scope="module")
def target():
    """The chip that the compiler knows the GPU by, and the format of its cache."""
    if torch.version.hip:
        name = torch.cuda.get_device_properties(0).gcnArchName.partition(":")[0]
    else:
        name = "sm_{}{}".format(*torch.cuda.get_device_capability())
    return name, FORMATS[cache_format("fp8", is_fnuz(name))]


@pytest.mark.parametrize("mode", ["fold", "argument"])
@pytest.mark.parametrize("dtype", ["fp8", "fp8_e5m2"])
def test_every_float32(kvq, tmp_path, target, dtype, mode):
    """All 2^32 of them, by whatever arithmetic was proven for each scale or serves all, as dividing, clamping and rounding have it."""
    fnuz = is_fnuz(target[0])
    fp8 = getattr(torch, np.dtype(FORMATS[cache_format(dtype, fnuz)]).name)
    tried = np.concatenate([scales()[::2], np.float32([SCALES["k"], SCALES["v"], 1 / 3, 1.0, 2.0**-80, 1.9 * 2.0**-80, 2.0**100, 1.9 * 2.0**99])])
    # The scales of a checkpoint; a fnuz chip doubles them.
    raw = (tried if mode == "fold" else tried[:2]) / np.float32(2 if fnuz else 1)
    texts = [layer_text(index, 1, 256, 0, "f32", dtype, {"k": k, "v": v}) for index, (k, v) in enumerate(raw.reshape(-1, 2))]
    (tmp_path / "model.mlir").write_text("".join(texts))
    kvq.compile(tmp_path / "model.mlir", tmp_path / "out", targets=[target[0]], ops=["store"], scales=mode)
    layers = kvq.open(tmp_path / "out", "cuda").layers
    assert mode == "argument" or len({method for layer in layers for method, _ in layer.kernel("store")["scales"].values()}) > 1
    tokens, blocks = 2**20, 2**20 // ROWS
    largest = torch.finfo(fp8).max
    caches = torch.empty(2, blocks, ROWS, 1, 256, dtype=torch.uint8, device="cuda")
    slots = torch.arange(tokens, device="cuda")
    pairs = [torch.tensor(pair, device="cuda") for pair in tried.reshape(-1, 2)]
    for first in range(-(2**31), 2**31, tokens * 256):
        values = torch.arange(first, first + tokens * 256, device="cuda").to(torch.int32).view(torch.float32)
        rows = values.reshape(tokens, 1, 256)
        for index, pair in enumerate(pairs):
            given = {"k_scale": pair[0], "v_scale": pair[1]} if mode == "argument" else {}
            layers[index if mode == "fold" else 0].store(rows, rows, *caches, slots, **given)
            for cache, scale in zip(caches, pair, strict=True):
                # A tensor: torch multiplies by the reciprocal of a number.
                wanted = (rows / scale.repeat(256)).clamp_(-largest, largest).to(fp8)
                differ = cache.reshape(rows.shape) != wanted.view(torch.uint8)
                # NaN has many codes.
                differ &= ~(rows.isnan() & cache.reshape(rows.shape).view(fp8).isnan())
                assert not differ.any(), (scale, rows[differ][:4])


@pytest.fixture
def layer(kvq, tmp_path, target):
    import kvq.torch

    artefact = opened(kvq, tmp_path, heads=HEADS, size=SIZE, device="cuda", targets=[target[0]], ops=OPS)
    assert artefact.target == target[0] and artefact.device.endswith(":0")
    kvq.torch.bind(artefact)
    yield artefact.layers[0]
    kvq.torch.unbind(artefact)


def some_tensors(tokens=TOKENS):
    """Keys and values, the parts of one product, a packed cache, and slots of which some are none."""
    torch.manual_seed(3)
    projected = (4 * torch.randn(tokens, 3, HEADS, SIZE, device="cuda")).to(torch.bfloat16)
    caches = torch.zeros(BLOCKS, 2, ROWS, HEADS, SIZE, dtype=torch.uint8, device="cuda")
    slots = torch.randperm(BLOCKS * ROWS, device="cuda")[:tokens]
    slots[7::13] = -1
    return projected[:, 1], projected[:, 2], (caches[:, 0], caches[:, 1]), slots


def as_numpy(tensor, dtype):
    """A tensor's bits as an array of `dtype`."""
    return tensor.contiguous().view(torch.uint8).cpu().numpy().view(dtype)


def check(key, value, caches, slots, dtype):
    """That the slots hold what the reference makes of the rows, and every other row is zero."""
    valid = (slots >= 0).cpu().numpy()
    at = slots.cpu().numpy()[valid]
    for rows, cache, name in ((key, caches[0], "k"), (value, caches[1], "v")):
        codes = as_numpy(cache, dtype).reshape(BLOCKS * ROWS, HEADS, SIZE)
        same(codes[at], store(as_numpy(rows, SOURCES["bf16"])[valid], SCALES[name], dtype))
        codes[at] = 0
        assert not codes.view(np.uint8).any()


def test_what_is_stored_is_loaded_and_gathered(layer, target):
    key, value, caches, slots = some_tensors()
    layer.store(key, value, *caches, slots)
    check(key, value, caches, slots, target[1])
    back = torch.zeros(2, TOKENS, HEADS, SIZE, dtype=torch.bfloat16, device="cuda")
    layer.load(back[0], back[1], *caches, slots)
    valid = slots >= 0
    for part, name in enumerate("kv"):
        codes = as_numpy(caches[part][slots[valid] // ROWS, slots[valid] % ROWS], target[1])
        same(as_numpy(back[part][valid], SOURCES["bf16"]), load(codes, SCALES[name], SOURCES["bf16"]))
    assert not back[:, ~valid].any()

    table = torch.randperm(BLOCKS, dtype=torch.int32, device="cuda").reshape(4, -1)
    lengths = torch.tensor([0, 100, 100, 117, 117 + table.shape[1] * ROWS], dtype=torch.int32, device="cuda")
    key, value = torch.zeros(2, int(lengths[-1]), HEADS, SIZE, dtype=torch.bfloat16, device="cuda")
    layer.gather(key, value, *caches, table, lengths)
    starts = lengths.tolist()
    for part, rows in enumerate((key, value)):
        for sequence, (first, end) in enumerate(zip(starts, starts[1:], strict=False)):
            codes = as_numpy(caches[part][table[sequence].long()].reshape(-1, HEADS, SIZE)[: end - first], target[1])
            same(as_numpy(rows[first:end], SOURCES["bf16"]), load(codes, SCALES["kv"[part]], SOURCES["bf16"]))


def test_running_scales(layer):
    key, value, _, _ = some_tensors()
    query = torch.randn(TOKENS, 4 * HEADS, SIZE, device="cuda").to(torch.bfloat16)
    scales = [torch.zeros(1, device="cuda") for _ in range(3)]
    layer.compute_scales(query, key, value, *scales)
    for scale, rows, constant in zip(scales, (query, key, value), (200, 200, 100), strict=True):
        largest = np.float32(rows.abs().max().item())
        assert np.float32(scale.item()) == largest / np.float32(constant)


def test_launches_wait_for_the_current_stream(layer, target):
    """A kernel on the stream of the tensors comes after what that stream was given before, however long that takes."""
    key, value, caches, slots = some_tensors()
    late = torch.zeros_like(key)
    for how in ("current", "named"):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        late.zero_()
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            torch.cuda._sleep(100_000_000)
            late.copy_(key)
            if how == "current":
                layer.store(late, value, *caches, slots)
        if how == "named":
            layer.store(late, value, *caches, slots, stream=stream)
        stream.synchronize()
        check(key, value, caches, slots, target[1])
        caches[0].zero_()
        caches[1].zero_()


def test_a_graph_replays_on_new_numbers(layer, target):
    key, value, caches, slots = some_tensors()
    back = torch.zeros(2, TOKENS, HEADS, SIZE, dtype=torch.bfloat16, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        layer.store(key, value, *caches, slots)
        torch.ops.kvq.load(back[0], back[1], *caches, slots, NAME)
    assert not caches[0].any() and not back.any()
    for _ in range(2):
        key.mul_(-0.5)
        slots.copy_(torch.randperm(BLOCKS * ROWS, device="cuda")[:TOKENS])
        for cache in caches:
            cache.zero_()
        graph.replay()
        torch.cuda.synchronize()
        check(key, value, caches, slots, target[1])
        codes = as_numpy(caches[0][slots // ROWS, slots % ROWS], target[1])
        same(as_numpy(back[0], SOURCES["bf16"]), load(codes, SCALES["k"], SOURCES["bf16"]))


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_compiled_by_inductor(layer, mode):
    """One graph, with CUDA graphs too, which does what the operators do."""
    key, value, caches, slots = some_tensors()

    def step(key, value, key_cache, value_cache, slots):
        torch.ops.kvq.store(key * 2, value + 1, key_cache, value_cache, slots, NAME)
        rows = torch.zeros_like(key), torch.zeros_like(value)
        torch.ops.kvq.load(rows[0], rows[1], key_cache, value_cache, slots, NAME)
        return rows[0] + rows[1]

    key, value = key.contiguous(), value.contiguous()
    wanted = step(key, value, *caches, slots)
    expected = [cache.clone() for cache in caches]
    torch._dynamo.reset()
    compiled = torch.compile(step, fullgraph=True, mode=mode)
    for _ in range(4):
        for cache in caches:
            cache.zero_()
        got = compiled(key, value, *caches, slots).clone()
        assert torch.equal(got.view(torch.int16), wanted.view(torch.int16))
        for cache, codes in zip(caches, expected, strict=True):
            assert torch.equal(cache, codes)


def test_in_the_place_of_vllms_function(kvq, layer, target):
    """Scales on the GPU are compared once; then a graph can be captured."""
    key, value, caches, slots = some_tensors()
    function = kvq.vllm.bind(layer)
    k_scale, v_scale = (torch.tensor([SCALES[name]], device="cuda") for name in "kv")
    function(key, value, *caches, slots, "fp8", k_scale, v_scale)
    check(key, value, caches, slots, target[1])
    for cache in caches:
        cache.zero_()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function(key, value, *caches, slots, "fp8", k_scale, v_scale)
    graph.replay()
    torch.cuda.synchronize()
    check(key, value, caches, slots, target[1])
    with pytest.raises(kvq.Error, match="expected 'k_scale' to be"):
        function(key, value, *caches, slots, "fp8", k_scale + 1, v_scale)


def test_scales_of_the_call_or_of_the_checkpoint(kvq, tmp_path, target):
    """Compiled with both: the folded kernel without scales, and with them the one that reads them where the kernel runs."""
    layer = opened(kvq, tmp_path, heads=HEADS, size=SIZE, device="cuda", targets=[target[0]], scales="both", align=[16, 4]).layers[0]
    key, value, caches, slots = some_tensors()
    layer.store(key, value, *caches, slots)
    check(key, value, caches, slots, target[1])
    scales = {f"{name}_scale": torch.tensor([SCALES[name]], device="cuda") for name in "kv"}
    for cache in caches:
        cache.zero_()
    layer.store(key, value, *caches, slots, **scales)
    check(key, value, caches, slots, target[1])
    for scale in scales.values():
        scale.mul_(2)
    layer.store(2 * key, 2 * value, *caches, slots, **scales)
    check(key, value, caches, slots, target[1])
    # Caches that begin four bytes behind a multiple of 16.
    whole = torch.zeros(2 * BLOCKS * ROWS * HEADS * SIZE + 16, dtype=torch.uint8, device="cuda")
    moved = whole[4:-12].reshape(2, BLOCKS, ROWS, HEADS, SIZE)
    layer.store(key, value, moved[0], moved[1], slots)
    check(key, value, moved, slots, target[1])


def test_other_devices_are_refused(kvq, layer):
    key, value, caches, slots = some_tensors()
    with pytest.raises(kvq.Error, match="expected 'slot_mapping' to be on '(cuda|rocm):0', for which the artefact was opened, but got 'cpu'"):
        layer.store(key, value, *caches, slots.cpu())
    with pytest.raises(kvq.Error, match="expected 'key' to be on "):
        layer.store(as_numpy(key, SOURCES["bf16"]), value, *caches, slots)


@pytest.mark.parametrize("framework", ["cupy", "jax"])
def test_other_frameworks(layer, target, framework):
    """Their arrays by DLPack. jax's are read alone: they are not written in place."""
    other = pytest.importorskip(framework)
    key, value, caches, slots = some_tensors()
    if framework == "cupy":
        # cupy has no bfloat16 of its own.
        moved = [key, value, *(other.from_dlpack(cache) for cache in caches), other.from_dlpack(slots)]
    else:
        moved = [*(other.dlpack.from_dlpack(rows.contiguous()) for rows in (key, value)), *caches, slots]
    torch.cuda.synchronize()
    layer.store(*moved)
    torch.cuda.synchronize()
    check(key, value, caches, slots, target[1])


def test_decode(package_dir, source_dir, checkpoints_dir, target):
    done = decode(package_dir, source_dir, checkpoints_dir / "llama-ct", "--steps", "3", "--device", "cuda", "--target", target[0])
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert re.fullmatch(r"model\.layers\.\d\.self_attn: 3 steps on (cuda|rocm):0 with torch, attention within 0\.\d\d\d", line)
