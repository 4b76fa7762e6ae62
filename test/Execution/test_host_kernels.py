"""The host's kernels on every 16-bit value, a dense sample of float32, and every code, for many scales, against ml_dtypes."""

import json

import numpy as np
import pytest
from exhaustive import check_load, check_store
from formulas import FORMATS, SOURCES, scales
from kernels import Kernels, dtype_of, in_pairs, sample, supported


def check(build_dir, folder, source, name, of_scales):
    cache, fnuz = dtype_of(name)
    pairs = in_pairs(supported(of_scales, fnuz))
    kernels = Kernels(build_dir, folder, "host", source, cache, pairs, fnuz=fnuz)
    assert kernels.element == name
    random = np.random.default_rng(11)
    for _ in kernels.versions():
        for pair in pairs:
            check_store(kernels, pair, random)
            check_load(kernels, pair, random)
    return len(np.unique(pairs))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("source", SOURCES)
def test_every_input(build_dir, tmp_path, source, name):
    tried = sample(scales(), 6)
    assert check(build_dir, tmp_path, source, name, tried) >= len(sample(range(50), 6))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("source", ["bf16", "f16"])
def test_scales_of_a_real_model(build_dir, tmp_path, shared_data_dir, source, name):
    path = shared_data_dir / "llama2-70b-kv_cache_scales.json"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    factors = json.loads(path.read_text())["kv_cache"]["scaling_factor"]["0"]
    check(build_dir, tmp_path, source, name, sample(list(factors.values()), 10))
