"""The C++ reference, and the arithmetic that folding chooses, against ml_dtypes by the contract's formulas, with every input of the 16-bit types."""

import json
import subprocess

import numpy as np
import pytest
from formulas import FORMATS, SOURCES, differences, f32_inputs, load, scales, store


def dump(bin_dir, operation, source, cache_type, of_scales, inputs=None):
    """What kvq-reference writes, a row per scale."""
    program = bin_dir / "kvq-reference"
    if not program.is_file():
        pytest.skip("kvq-reference is not built")
    words = [f"{bits:08x}" for bits in np.asarray(of_scales, np.float32).view(np.uint32)]
    done = subprocess.run([program, operation, source, cache_type, *words], input=inputs, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(len(words), -1)


def check_store(bin_dir, operation, source, name, of_scales):
    cache_type = FORMATS[name]
    every = np.arange(65536, dtype=np.uint16).view(SOURCES[source])
    for scale, codes in zip(of_scales, dump(bin_dir, operation, source, name, of_scales), strict=True):
        assert differences(codes.view(cache_type), store(every, scale, cache_type)) == 0, scale


def check_load(bin_dir, operation, source, name, of_scales):
    cache_type, source_type = FORMATS[name], SOURCES[source]
    every = np.arange(256, dtype=np.uint8).view(cache_type)
    for scale, values in zip(of_scales, dump(bin_dir, operation, source, name, of_scales), strict=True):
        assert differences(values.view(source_type), load(every, scale, source_type)) == 0, scale


def test_enough_scales():
    assert len(np.unique(scales())) >= 50


@pytest.mark.parametrize("operation", ["store", "folded-store"])
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("source", ["bf16", "f16"])
def test_store_of_every_value(bin_dir, operation, source, name):
    check_store(bin_dir, operation, source, name, scales())


@pytest.mark.parametrize("operation", ["store", "folded-store"])
@pytest.mark.parametrize("name", FORMATS)
def test_store_of_f32(bin_dir, operation, name):
    cache_type = FORMATS[name]
    for scale in scales():
        inputs = f32_inputs(scale, cache_type)
        codes = dump(bin_dir, operation, "f32", name, [scale], inputs.tobytes())[0]
        assert differences(codes.view(cache_type), store(inputs.view(np.float32), scale, cache_type)) == 0, scale


@pytest.mark.parametrize("operation", ["load", "folded-load"])
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("source", SOURCES)
def test_load_of_every_code(bin_dir, operation, source, name):
    check_load(bin_dir, operation, source, name, scales())


@pytest.mark.parametrize("name", FORMATS)
def test_scales_of_a_real_model(bin_dir, shared_data_dir, name):
    path = shared_data_dir / "llama2-70b-kv_cache_scales.json"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    factors = json.loads(path.read_text())["kv_cache"]["scaling_factor"]["0"]
    real = np.array(list(factors.values()), np.float32)
    for source in ("bf16", "f16"):
        check_store(bin_dir, "folded-store", source, name, real)
        check_load(bin_dir, "folded-load", source, name, real)
