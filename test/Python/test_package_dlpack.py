"""Capsules of every kind, and launches on a GPU that a stand-in for the driver pretends to have: each parameter is what the tensors say."""

import ctypes

import numpy as np
import pytest
from artefacts import FORMATS, NAME, SCALES, SOURCES, opened
from capsules import CPU, CUDA, MANAGED, ROCM, Capsule
from formulas import store
from manifests import manifest_of

HEADS, SIZE, ROWS, BLOCKS, TOKENS = 3, 32, 16, 5, 9
ROW = HEADS * SIZE


@pytest.fixture(scope="module")
def driver(build_dir):
    """The stand-in for libcuda, which the runtime opens too."""
    found = list(build_dir.glob("**/libkvq-stand-in-cuda.so"))
    if not found:
        pytest.skip("the stand-in for the driver is not built")
    library = ctypes.CDLL(str(found[0]))
    library.kvq_stand_in_launch.restype = ctypes.c_char_p
    library.kvq_stand_in_num_launches.restype = ctypes.c_size_t
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KVQ_CUDA_LIBRARY", str(found[0]))
        yield library


def launches(driver):
    """(symbol, grid, stream, arguments) of each launch so far."""
    for index in range(driver.kvq_stand_in_num_launches()):
        lines = driver.kvq_stand_in_launch(index).decode().split("\n")
        yield lines[1], tuple(map(int, lines[2:5])), int(lines[9]), list(map(int, lines[10:]))


def gpu_layer(kvq, driver, folder, **options):
    """A layer for the stand-in's sm_90; skips where nothing assembles PTX."""
    folder.mkdir()
    artefact = opened(kvq, folder, targets=["sm_90", "host"], **options)
    manifest = manifest_of(folder / "out")
    if "cubin" not in manifest["targets"][0]["files"]:
        pytest.skip("nothing here assembles PTX")
    for kernel in manifest["kernels"]:
        driver.kvq_stand_in_set_num_arguments(kernel["symbol"].encode(), ctypes.c_size_t(len(kernel["args"])))
    artefact = kvq.open(folder / "out", "cuda")
    assert (artefact.target, artefact.device) == ("sm_90", "cuda:0")
    return artefact.layers[0]


def tensors(device=(CUDA, 0), **changed):
    """Names and tensors of a store: keys padded, the caches halves of a packed one."""
    block = 2 * ROWS * ROW
    made = {
        "key": Capsule(0x10000, (TOKENS + 2, HEADS, SIZE), "bf16", device, (ROW + 64, SIZE, 1)),
        "value": Capsule(0x20000, (TOKENS, HEADS, SIZE), "bf16", device, None, offset=0x40),
        "key_cache": Capsule(0x30000, (BLOCKS, ROWS, HEADS, SIZE), "f8E4M3FN", device, (block, ROW, SIZE, 1)),
        "value_cache": Capsule(0x30000 + ROWS * ROW, (BLOCKS, ROWS, HEADS, SIZE), "u8", device, (block, ROW, SIZE, 1)),
        "slot_mapping": Capsule(0x50000, (TOKENS,), "i64", device),
    }
    return made | changed


def test_every_parameter_of_a_launch(kvq, driver, tmp_path):
    layer = gpu_layer(kvq, driver, tmp_path / "a", bounds="count", scales="argument")
    given = tensors()
    named = {"out_of_range": Capsule(0x60000, (1,), "i64"), "k_scale": Capsule(0x70000, (), "f32"), "v_scale": Capsule(0x70004, (1,), "f32")}
    before = driver.kvq_stand_in_num_launches()
    layer.store(*given.values(), 0x1234, **named)
    [(symbol, grid, stream, arguments)] = list(launches(driver))[before:]
    assert symbol == layer.kernel("store")["symbol"] and stream == 0x1234 and grid[0] >= 1 and grid[1:] == (1, 1)
    block = 2 * ROWS * ROW
    assert arguments == [
        *(0x10000, 0x20040, 0x30000, 0x30000 + ROWS * ROW, 0x50000),
        *(TOKENS, BLOCKS, ROW + 64, ROW),
        *(block, ROW, SIZE, block, ROW, SIZE),
        *(0x60000, 0x70000, 0x70004),
    ]
    for tensor in (*given.values(), *named.values()):
        assert [keywords["stream"] for keywords in tensor.asked] == [0x1234]


class TorchStream:
    cuda_stream = 0x20


class CupyStream:
    ptr = 0x30


class ProtocolStream:
    def __cuda_stream__(self):
        return 0, 0x40


def test_streams(kvq, driver, tmp_path):
    layer = gpu_layer(kvq, driver, tmp_path / "a")
    for stream, address in ((None, 0), (7, 7), (TorchStream(), 0x20), (CupyStream(), 0x30), (ProtocolStream(), 0x40), (np.int64(5), 5)):
        given = tensors()
        layer.store(**given, stream=stream)
        assert list(launches(driver))[-1][2] == address
        # CUDA's default stream is 1 to DLPack.
        assert [tensor.asked[0]["stream"] for tensor in given.values()] == [address or 1] * len(given)
    count = driver.kvq_stand_in_num_launches()
    with pytest.raises(kvq.Error, match="expected 'stream' to be a stream or its address, but got 'str'"):
        layer.store(**tensors(), stream="fast")
    layer.store(**tensors(slot_mapping=Capsule(0, (0,), "i64")))
    assert driver.kvq_stand_in_num_launches() == count


def test_devices_and_alignment_are_refused(kvq, driver, tmp_path):
    layer = gpu_layer(kvq, driver, tmp_path / "a")
    count = driver.kvq_stand_in_num_launches()
    key = (TOKENS, HEADS, SIZE), "bf16"
    there = "expected 'key' to be on 'cuda:0', for which the artefact was opened, but got "
    cases = [
        (Capsule(0x10000, *key, (CUDA, 1)), there + "'cuda:1'"),
        (Capsule(0x10000, *key, (ROCM, 0)), there + "'rocm:0'"),
        (Capsule(0x10000, *key, (CPU, 0)), there + "'cpu'"),
        (Capsule(0x10002, *key), "expected 'key' aligned to "),
        (Capsule(0x10000, *key, strides=(ROW + 1, SIZE, 1)), "for 'key_stride', but got 97"),
        (Capsule(0, *key), "expected a pointer for 'key', but got null"),
    ]
    for given, message in cases:
        with pytest.raises(kvq.Error) as raised:
            layer.store(**tensors(key=given))
        assert str(raised.value).startswith(f"layer '{NAME}', op 'store': ") and message in str(raised.value)
    assert driver.kvq_stand_in_num_launches() == count
    layer.store(**tensors(key=Capsule(0x10000, *key, (MANAGED, 0))))
    # A dimension of one element has no stride to speak of.
    one = (1, ROWS, HEADS, SIZE)
    odd = {name: Capsule(0x30000, one, "u8", strides=(7, ROW, SIZE, 1)) for name in ("key_cache", "value_cache")}
    layer.store(**tensors(**odd))
    assert driver.kvq_stand_in_num_launches() == count + 2


@pytest.mark.parametrize("version", [None, (1, 0), (1, 9)], ids=["unversioned", "1.0", "1.9"])
def test_capsules_of_the_host(kvq, tmp_path, version):
    layer = opened(kvq, tmp_path).layers[0]
    rows = np.random.default_rng(13).standard_normal((TOKENS, HEADS, SIZE)).astype(SOURCES["bf16"])
    cache, slots = np.zeros((2, BLOCKS, ROWS, HEADS, SIZE), np.uint8), np.arange(TOKENS)
    on = {"device": (CPU, 0), "version": version}
    key = Capsule(rows.ctypes.data, rows.shape, "bf16", **on)
    caches = [Capsule(half.ctypes.data, half.shape, "f8E4M3FN", **on) for half in cache]
    layer.store(key, key, *caches, Capsule(slots.ctypes.data, slots.shape, "i64", **on))
    codes = cache[0].reshape(-1, HEADS, SIZE)[:TOKENS]
    assert (codes == store(rows, SCALES["k"], FORMATS["f8E4M3FN"]).view(np.uint8)).all()
    assert all("stream" not in keywords for keywords in key.asked)


def test_capsules_that_are_refused(kvq, tmp_path):
    layer = opened(kvq, tmp_path).layers[0]
    good = tensors((CPU, 0))

    class Broken:
        def __dlpack_device__(self):
            return CPU, 0

        def __dlpack__(self, **keywords):
            raise BufferError("this tensor requires a gradient\nand more")

    class Strange(Broken):
        def __dlpack__(self, **keywords):
            return 5

    cases = [
        ("key", Broken(), "expected 'key' to be a tensor that speaks DLPack, but got 'test_package_dlpack.Broken': this tensor requires a gradient"),
        ("key", Strange(), "but got 'test_package_dlpack.Strange', whose '__dlpack__' gives no capsule of a tensor"),
        ("key", Capsule(0x1000, (1,) * 9, "bf16", (CPU, 0)), "expected 'key' to have at most 8 dimensions, but got 9"),
        ("key", Capsule(0x1000, (TOKENS, HEADS, SIZE), "bf16", (CPU, 0), version=(2, 0)), "of another major version"),
        (
            "key_cache",
            Capsule(0x1000, (BLOCKS, ROWS, HEADS, SIZE), "u8", (CPU, 0), read_only=True),
            "expected 'key_cache' to be writable, but got a read-only tensor",
        ),
        ("key", Capsule(0x1000, (TOKENS, HEADS, SIZE), "bf16"), "expected 'key' to be on 'cpu', for which the artefact was opened, but got 'cuda:0'"),
    ]
    for name, tensor, message in cases:
        with pytest.raises(kvq.Error) as raised:
            layer.store(**(good | {name: tensor}))
        assert message in str(raised.value) and "\n" not in str(raised.value)
