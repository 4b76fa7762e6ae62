"""The NVVM and ROCDL dialects, executed: every 16-bit value, a dense sample of float32, and every code, against ml_dtypes."""

import numpy as np
import pytest
from chips import EMULATED, is_fnuz, representatives
from exhaustive import check_load, check_store
from formulas import SOURCES, scales
from kernels import Kernels, in_pairs, sample, supported

# A calibrated one, a tie-prone one, a power of two, subnormal quotients, the edges of what a reciprocal can be, subnormal products, one of bf16, and
# one that is nothing to do.
SCALES = [0.0230712890625, 1.5, 0.25, 448.0, 1e38, 2.9387359e-39, 1e-6, 0.0072021484375, 1.0, 0.031]


@pytest.mark.parametrize("cache", ["fp8", "fp8_e5m2"])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("chip", sample(EMULATED, 3))
def test_every_input(build_dir, tmp_path, chip, source, cache):
    pairs = in_pairs(np.array(SCALES, np.float32))
    kernels = Kernels(build_dir, tmp_path, chip, source, cache, pairs)
    random = np.random.default_rng(13)
    for pair in pairs:
        check_store(kernels, pair, random)
        check_load(kernels, pair, random)


@pytest.mark.parametrize("cache", ["fp8", "fp8_e5m2"])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("chip", sample(representatives(), 3))
def test_scales_as_arguments(build_dir, tmp_path, chip, source, cache):
    # Where GPUs change over to values that are multiplied first, and what no checkpoint has but a pointer may give.
    edges = [2.0**-80, np.nextafter(np.float32(2.0**-80), np.float32(0)), 1.9 * 2.0**-80, 2.0**100, 1.9 * 2.0**100]
    edges += [0.0, -0.0, -1.5, -1e38, np.inf, np.nan]
    pairs = in_pairs(np.concatenate([np.array(SCALES + edges, np.float32), scales()[::6]]))
    kernels = Kernels(build_dir, tmp_path, chip, source, cache, pairs[:1], scales="argument")
    random = np.random.default_rng(17)
    for pair in pairs:
        check_store(kernels, pair, random)
        check_load(kernels, pair, random)


@pytest.mark.parametrize("cache", ["fp8", "fp8_e5m2"])
@pytest.mark.parametrize("source", ["bf16", "f16"])
@pytest.mark.parametrize("chip", sample([chip for chip in representatives() if chip in EMULATED], 3))
def test_folded_scales(build_dir, tmp_path, chip, source, cache):
    """Loads by whatever arithmetic each scale gets: a code has few products, but each is rounded in its own way."""
    random = np.random.default_rng(19)
    wide = np.exp2(random.uniform(-16, 8, 8)).astype(np.float32)
    powers = np.exp2(np.arange(-12, 12, 3)).astype(np.float32)
    pairs = in_pairs(supported(np.concatenate([scales()[::3], wide, sample(powers, 2)]), is_fnuz(chip)))
    kernels = Kernels(build_dir, tmp_path, chip, source, cache, pairs, heads=2, head_size=64)
    for pair in pairs:
        check_load(kernels, pair, random)
    for pair in sample(pairs, 2)[-4:]:
        check_store(kernels, pair, random)
