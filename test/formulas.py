"""The contract's formulas in numpy and ml_dtypes, and the inputs and scales that they are tried on."""

import ml_dtypes
import numpy as np

FORMATS = {
    "f8E4M3FN": ml_dtypes.float8_e4m3fn,
    "f8E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "f8E5M2": ml_dtypes.float8_e5m2,
    "f8E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
}
SOURCES = {"bf16": ml_dtypes.bfloat16, "f16": np.float16, "f32": np.float32}


def cache_format(dtype, fnuz):
    """The cache's element type, as MLIR spells it, that a kv_cache_dtype means."""
    if dtype == "fp8_e5m2":
        return "f8E5M2FNUZ" if fnuz else "f8E5M2"
    return "f8E4M3FNUZ" if fnuz else "f8E4M3FN"


def scales():
    """Powers of two, bf16 values, ties, subnormal quotients and products, the edges of float32, and random ones."""
    random = np.random.default_rng(5)
    powers = np.exp2(np.array([-149, -140, -127, -126, -60, -24, -10, -4, -1, 0, 1, 3, 8, 15, 40, 126, 127], np.float64))
    ties = [1.5, 1.25, 3.0, 0.75, 1.0625, 0.03125 * 17, 448.0, 240.0, 57344.0]
    edges = [np.finfo(np.float32).max, 1.1754942e-38, 2.9387359e-39, 1e-38, 1e38, np.nextafter(np.float32(1), np.float32(2))]
    calibrated = np.exp2(random.uniform(-9, 1, 24))
    bf16 = np.exp2(random.uniform(-9, 1, 8)).astype(ml_dtypes.bfloat16)
    wide = np.exp2(random.uniform(-120, 120, 8))
    return np.concatenate([np.asarray(part, np.float32) for part in (powers, ties, edges, calibrated, bf16, wide)])


def f32_inputs(scale, cache_type):
    """Bit patterns around every tie and value of the format times the scale, where zero, subnormals and infinities are, and random ones."""
    random = np.random.default_rng(7)
    values = np.arange(256, dtype=np.uint8).view(cache_type).astype(np.float64)
    values = np.unique(values[np.isfinite(values)])
    boundaries = np.concatenate([values, (values[1:] + values[:-1]) / 2, values[[0, -1]] * 1.04])
    with np.errstate(over="ignore", invalid="ignore"):
        patterns = (boundaries * np.float64(scale)).astype(np.float32).view(np.uint32)
    near = (patterns[:, None] + np.arange(-4, 5)).astype(np.uint32).ravel()
    special = np.array([0, 1, 0x7FFFFF, 0x800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000], np.uint32)
    return np.concatenate([near, special, special | 0x80000000, random.integers(0, 2**32, 4000, dtype=np.uint32)])


def store(x, scale, cache_type):
    """The contract's formula for a store, in numpy and ml_dtypes."""
    largest = np.float32(ml_dtypes.finfo(cache_type).max)
    with np.errstate(all="ignore"):
        return np.clip(x.astype(np.float32) / scale, -largest, largest).astype(cache_type)


def load(codes, scale, source_type):
    """The contract's formula for a load, in numpy and ml_dtypes."""
    with np.errstate(all="ignore"):
        return (codes.astype(np.float32) * scale).astype(source_type)


def differences(actual, expected):
    """How many values differ in a bit, NaNs counting as equal."""
    bits = {1: np.uint8, 2: np.uint16, 4: np.uint32}[expected.dtype.itemsize]
    both_nan = np.isnan(actual.astype(np.float32)) & np.isnan(expected.astype(np.float32))
    return int(((actual.view(bits) != expected.view(bits)) & ~both_nan).sum())
