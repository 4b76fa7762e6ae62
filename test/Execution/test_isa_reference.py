"""The functions that emulated kernels call in place of instructions, against ml_dtypes and the manuals' words."""

import ctypes
import itertools

import ml_dtypes
import numpy as np
import pytest
from formulas import FORMATS, differences, f32_inputs
from kernels import reference_library

SATURATING = {"cvt_e4m3x2_f32": "f8E4M3FN", "cvt_e5m2x2_f32": "f8E5M2"}
OVERFLOWING = {
    "v_cvt_pk_fp8_f32_ocp": "f8E4M3FN",
    "v_cvt_pk_bf8_f32_ocp": "f8E5M2",
    "v_cvt_pk_fp8_f32_fnuz": "f8E4M3FNUZ",
    "v_cvt_pk_bf8_f32_fnuz": "f8E5M2FNUZ",
}


# The chips' conversions between FP8 and pairs of 16-bit values, by their formats.
NARROW = {"fp8": "f8E4M3FN", "bf8": "f8E5M2", "e4m3x2": "f8E4M3FN", "e5m2x2": "f8E5M2"}
FROM_HALVES = ["cvt_e4m3x2_f16x2", "cvt_e5m2x2_f16x2"]
SCALED_TO = [f"v_cvt_scalef32_pk_{wide}_{narrow}" for wide in ("f16", "bf16") for narrow in ("fp8", "bf8")]
SCALED_FROM = ["v_cvt_scalef32_pk_fp8_f16", "v_cvt_scalef32_pk_bf8_f16"]
EIGHTS_TO = [f"v_cvt_scale_pk8_{wide}_{narrow}" for wide in ("f16", "bf16") for narrow in ("fp8", "bf8")]
EIGHTS_FROM = ["v_cvt_scalef32_pk8_fp8_f16", "v_cvt_scalef32_pk8_bf8_f16"]
PACKED = [*FROM_HALVES, *SCALED_TO, *SCALED_FROM, *EIGHTS_TO, *EIGHTS_FROM]


@pytest.fixture(scope="module")
def isa(build_dir):
    """Calls a reference function by name."""
    library = reference_library(build_dir)

    def call(name, a, b=0, c=0, select=0):
        return getattr(library, f"kvq_isa_{name}")(int(a), int(b), int(c), int(select))

    others = ["v_med3_f32", "cvt_rn_bf16_f32", "v_cvt_pkrtz_f16_f32", "mul_bf16"]
    for name in [*SATURATING, *OVERFLOWING, *PACKED, *others, *(decoder(name) for name in [*SATURATING, *OVERFLOWING])]:
        function = getattr(library, f"kvq_isa_{name}")
        function.restype, function.argtypes = ctypes.c_uint64, [ctypes.c_uint32] * 4
    return call


def decoder(encoder):
    """The name of the conversion the other way round."""
    if encoder in SATURATING:
        return f"cvt_f16x2_{encoder.split('_')[1]}"
    _, _, _, narrow, wide, kind = encoder.split("_")
    return f"v_cvt_pk_{wide}_{narrow}_{kind}"


def inputs(cache_type):
    """Bits of every bfloat16 and of float32 numbers around the format's values and ties."""
    every = np.arange(65536, dtype=np.uint32) << 16
    return np.concatenate([every, f32_inputs(1.0, cache_type)])


@pytest.mark.parametrize("name", [*SATURATING, *OVERFLOWING])
def test_encoding(isa, name):
    cache_type = FORMATS[{**SATURATING, **OVERFLOWING}[name]]
    bits = inputs(cache_type)
    values = bits.view(np.float32)
    with np.errstate(all="ignore"):
        largest = np.float32(ml_dtypes.finfo(cache_type).max)
        expected = (np.clip(values, -largest, largest) if name in SATURATING else values).astype(cache_type)
    # PTX puts a in the upper byte, AMD the first operand in the lower one.
    pairs = np.array([isa(name, x, y) for x, y in zip(bits, bits[::-1], strict=True)], np.uint16)
    first, second = (pairs >> 8, pairs & 0xFF) if name in SATURATING else (pairs & 0xFF, pairs >> 8)
    assert differences(first.astype(np.uint8).view(cache_type), expected) == 0
    assert differences(second.astype(np.uint8).view(cache_type), expected[::-1]) == 0


@pytest.mark.parametrize("name", [*SATURATING, *OVERFLOWING])
def test_decoding(isa, name):
    cache_type = FORMATS[{**SATURATING, **OVERFLOWING}[name]]
    codes = np.arange(256, dtype=np.uint8)
    wide, shift = (np.uint16, 16) if name in SATURATING else (np.uint32, 32)
    words = np.array([isa(decoder(name), int(code) | int(255 - code) << 8) for code in codes], np.uint64)
    float_type = {np.uint16: np.float16, np.uint32: np.float32}[wide]
    low, high = ((words >> np.uint64(place)).astype(wide).view(float_type) for place in (0, shift))
    expected = codes.view(cache_type).astype(float_type)
    assert differences(low, expected) == 0
    assert differences(high, expected[::-1]) == 0


def bits_of(value):
    return int(np.float32(value).view(np.uint32))


@pytest.mark.parametrize("name", OVERFLOWING)
def test_the_other_half_is_kept(isa, name):
    one, two = (int(np.array(value, FORMATS[OVERFLOWING[name]]).view(np.uint8)) for value in (1, 2))
    pair = two << 8 | one
    assert isa(name, bits_of(1), bits_of(2), 0xABCD1234, 0) == 0xABCD0000 | pair
    assert isa(name, bits_of(1), bits_of(2), 0xABCD1234, 1) == pair << 16 | 0x1234
    words = isa(decoder(name), pair << 16 | 0x1234, select=1)
    assert words == bits_of(2) << 32 | bits_of(1)


def test_special_codes(isa):
    nan, infinity, huge, zero = (bits_of(value) for value in (np.nan, -np.inf, 1e30, -0.0))
    assert isa("cvt_e4m3x2_f32", nan, infinity) == 0x7FFE
    assert isa("cvt_e5m2x2_f32", huge, zero) == 0x7B80
    assert isa("v_cvt_pk_fp8_f32_ocp", infinity, zero) == 0x80FF
    assert isa("v_cvt_pk_bf8_f32_ocp", infinity, huge) == 0x7CFC
    assert isa("v_cvt_pk_fp8_f32_fnuz", infinity, zero) == 0x0080
    assert isa("v_cvt_pk_bf8_f32_fnuz", huge, nan) == 0x8080


def test_median(isa):
    numbers = [-np.inf, -240.0, -1.0, -0.0, 0.0, 1e-40, 3.0, 240.0, np.inf]
    for triple in itertools.permutations(numbers, 3):
        found = np.uint32(isa("v_med3_f32", *map(bits_of, triple))).view(np.float32)
        assert found == sorted(triple)[1]
    assert isa("v_med3_f32", bits_of(-0.0), bits_of(-240), bits_of(240)) == bits_of(-0.0)
    # A NaN makes it the smallest of the others.
    for triple in itertools.permutations([np.nan, -240.0, 240.0]):
        assert isa("v_med3_f32", *map(bits_of, triple)) == bits_of(-240)


def test_bf16(isa):
    near = (np.arange(65536, dtype=np.uint32) << 16)[:, None] + np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    bits = near.ravel()
    with np.errstate(all="ignore"):
        expected = bits.view(np.float32).astype(ml_dtypes.bfloat16)
    found = np.array([isa("cvt_rn_bf16_f32", pattern) for pattern in bits], np.uint16).view(ml_dtypes.bfloat16)
    assert differences(found, expected) == 0


HALVES = np.arange(65536, dtype=np.uint16)


@pytest.mark.parametrize("name", [*FROM_HALVES, *SCALED_FROM, *EIGHTS_FROM])
def test_from_halves(isa, name):
    cache_type = FORMATS[NARROW[name.split("_")[-2]]]
    factor = 1 if name in FROM_HALVES else 4
    words = HALVES.astype(np.uint32) | HALVES[::-1].astype(np.uint32) << 16
    four = bits_of(4)
    if name in SCALED_FROM:
        assert isa(name, 0xABCD1234, 0, four, 1) == 0x1234
        pairs = np.array([isa(name, 0, word, four, 0) for word in words], np.uint16)
    else:
        pairs = np.array([isa(name, word, four) for word in words], np.uint16)
    with np.errstate(all="ignore"):
        values = HALVES.view(np.float16).astype(np.float32) / np.float32(factor)
        largest = np.float32(ml_dtypes.finfo(cache_type).max)
        expected = (np.clip(values, -largest, largest) if name in FROM_HALVES else values).astype(cache_type)
    assert differences((pairs & 0xFF).astype(np.uint8).view(cache_type), expected) == 0
    assert differences((pairs >> 8).astype(np.uint8).view(cache_type), expected[::-1]) == 0


@pytest.mark.parametrize("exponent", [-20, -3, 0, 9])
@pytest.mark.parametrize("name", [*SCALED_TO, *EIGHTS_TO])
def test_scaled_to_halves(isa, name, exponent):
    wide, narrow = name.split("_")[-2:]
    codes = np.arange(256, dtype=np.uint8)
    scale = 127 + exponent if name in EIGHTS_TO else bits_of(np.exp2(exponent) * 1.5)
    words = np.array([isa(name, (int(code) | int(255 - code) << 8) << 16, scale, 0, 1) for code in codes], np.uint32)
    float_type = {"f16": np.float16, "bf16": ml_dtypes.bfloat16}[wide]
    with np.errstate(all="ignore"):
        expected = (codes.view(FORMATS[NARROW[narrow]]).astype(np.float64) * np.exp2(exponent)).astype(np.float32).astype(float_type)
    assert differences((words & 0xFFFF).astype(np.uint16).view(float_type), expected) == 0
    assert differences((words >> 16).astype(np.uint16).view(float_type), expected[::-1]) == 0


def test_f16_toward_zero(isa):
    bits = f32_inputs(1.0, FORMATS["f8E4M3FN"])
    values = bits.view(np.float32)
    with np.errstate(all="ignore"):
        near = values.astype(np.float16)
        # The neighbour nearer to zero where rounding to nearest went away from it; no overflow.
        further = np.abs(near.astype(np.float32)) > np.abs(values)
        expected = (near.view(np.uint16) - further.astype(np.uint16)).view(np.float16)
    words = np.array([isa("v_cvt_pkrtz_f16_f32", x, y) for x, y in zip(bits, bits[::-1], strict=True)], np.uint32)
    assert differences((words & 0xFFFF).astype(np.uint16).view(np.float16), expected) == 0
    assert differences((words >> 16).astype(np.uint16).view(np.float16), expected[::-1]) == 0


@pytest.mark.parametrize("factor", [1.0, 0.375, 2.0**-120, 1.5 * 2.0**-126, 3.0 * 2.0**120, -0.0, np.inf])
def test_product_of_bf16(isa, factor):
    values = HALVES.view(ml_dtypes.bfloat16)
    factor = np.array(factor, ml_dtypes.bfloat16)
    found = np.array([isa("mul_bf16", pattern, factor.view(np.uint16)) for pattern in HALVES], np.uint16).view(ml_dtypes.bfloat16)
    # By way of integers: the exact product, rounded as a number of steps.
    with np.errstate(all="ignore"):
        exact = values.astype(np.float64) * np.float64(factor)
        step = np.exp2(np.maximum(np.floor(np.log2(np.abs(exact))), -126) - 7)
        expected = np.where(np.isfinite(exact) & (exact != 0), np.rint(exact / step) * step, exact).astype(np.float32).astype(ml_dtypes.bfloat16)
    assert differences(found, expected) == 0
