"""docs/attention.md as it stands: its commands print what it shows, and what they make computes attention."""

import ctypes

import ml_dtypes
import numpy as np
import pytest
from conftest import SOURCE
from consoles import check_printed, run_page
from formulas import differences, load, store

HEADS, HEAD_SIZE = 2, 64
K_SCALE, V_SCALE = np.float32(0.0230712891), np.float32(0.0311279297)
FP8 = ml_dtypes.float8_e4m3fn
# Half the distance from 1 to the next float32.
UNIT = 2.0**-24


class MemRef(ctypes.Structure):
    """A buffer of rank 3 as MLIR passes it."""

    _fields_ = (
        ("allocated", ctypes.c_void_p),
        ("aligned", ctypes.c_void_p),
        ("offset", ctypes.c_int64),
        ("sizes", ctypes.c_int64 * 3),
        ("strides", ctypes.c_int64 * 3),
    )

    @classmethod
    def of(cls, array):
        """The descriptor of an array of any strides, which has to outlive it."""
        strides = [stride // array.itemsize for stride in array.strides]
        return cls(array.ctypes.data, array.ctypes.data, 0, (ctypes.c_int64 * 3)(*array.shape), (ctypes.c_int64 * 3)(*strides))


@pytest.fixture(scope="module")
def call(bin_dir, llvm_tools_dir, tmp_path_factory):
    """Calls a function of the page's shared object with arrays."""
    folder = tmp_path_factory.mktemp("attention")
    for command, lines, printed in run_page(SOURCE / "docs/attention.md", folder, [bin_dir, llvm_tools_dir]):
        check_printed(command, lines, printed)
    library = ctypes.CDLL(str(folder / "attention.so"))

    def run(name, *arrays):
        function = getattr(library, f"_mlir_ciface_{name}")
        function.restype = None
        function(*(ctypes.byref(MemRef.of(array)) for array in arrays))

    return run


def test_keys_are_quantized_to_the_bit(call):
    keys = np.arange(65536, dtype=np.uint16).view(ml_dtypes.bfloat16).reshape(HEADS, -1, HEAD_SIZE)
    codes = np.full(keys.shape, 0x55, np.uint8).view(FP8)
    call("quantize_keys", keys, codes)
    assert differences(codes, store(keys, K_SCALE, FP8)) == 0


def test_keys_are_dequantized_to_the_bit(call):
    codes = np.arange(1024).astype(np.uint8).view(FP8).reshape(HEADS, -1, HEAD_SIZE)
    keys = np.zeros(codes.shape, ml_dtypes.bfloat16)
    call("dequantize_keys", codes, keys)
    assert differences(keys, load(codes, K_SCALE, ml_dtypes.bfloat16)) == 0


def reference(q, k, v):
    """(output, bound on the error) of attention over a cache, in float64.

    The function's float32 sums are taken in any order. n additions of products err by at most (n + 1) units of the sum of magnitudes. An error d
    of a score is one of d in the logarithm of its weight; subtraction, product and expf add a unit each (expf: less than one of its last place, two
    units), the first two times the score's distance from the maximum. Weights err in the numerator and in the denominator of the output.
    """
    keys, values = k.astype(np.float64) * K_SCALE, v.astype(np.float64) * V_SCALE
    root = HEAD_SIZE**-0.5
    scores = q.astype(np.float64) @ keys.transpose(0, 2, 1) * root
    magnitudes = np.abs(q.astype(np.float64)) @ np.abs(keys).transpose(0, 2, 1) * root
    distances = scores - scores.max(-1, keepdims=True)
    of_weights = (2 * (HEAD_SIZE + 1) * magnitudes.max(-1, keepdims=True) + 3 * -distances + 2) * UNIT
    weights = np.exp(distances)
    weights /= weights.sum(-1, keepdims=True)
    tokens = k.shape[1]
    relative = of_weights.max(-1, keepdims=True) * 2 + (2 * (tokens + 1) + 3) * UNIT
    return weights @ values, relative * (weights @ np.abs(values))


@pytest.mark.parametrize("tokens", [1, 7, 300])
def test_attention(call, tokens):
    random = np.random.default_rng(tokens)
    queries = 5
    q = random.normal(size=(HEADS, queries, HEAD_SIZE)).astype(np.float32)
    # K and V are halves of one tensor, as engines keep them.
    both = store(random.normal(size=(HEADS, tokens, 2 * HEAD_SIZE)).astype(np.float32), np.float32(0.0078125), FP8)
    k, v = both[:, :, :HEAD_SIZE], both[:, :, HEAD_SIZE:]
    out = np.full(q.shape, np.nan, np.float32)
    call("attention", q, k, v, out)
    expected, bound = reference(q, k, v)
    assert (np.abs(out - expected) <= bound).all(), np.max(np.abs(out - expected) / bound)
    # The bound would show a scale that is off by its last bit of bfloat16.
    assert bound.max() < 2.0**-9 * np.abs(expected).max()
