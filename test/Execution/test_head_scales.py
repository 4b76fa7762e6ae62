"""Scales per head: every operation on every layout, on the host and as each sort of chip, against numpy and ml_dtypes."""

import numpy as np
import pytest
from chips import BACKENDS, representatives
from formulas import SOURCES
from kernels import sample
from test_operations import CASES, CHIPS, GEOMETRIES, OPS, Operations, check_gather, check_slots, check_whole

# What the heads of a scale have in common: numbers of a calibration; heads that want a method of their own, powers of two among them; a quotient that
# only a division gets right; all alike; powers of two and 1, where a product does.
KINDS = ["calibrated", "mixed", "tiny", "alike", "powers"]


def heads_of(kind, heads, random):
    """A number for each head, [heads, 1]."""
    numbers = np.exp2(random.uniform(-9, 1, heads))
    if kind == "mixed":
        numbers[::3], numbers[1::4], numbers[-1] = 0.25, 1.0, 0.0229492188
    elif kind == "tiny":
        numbers[-1] = 2.0**-128
    elif kind == "alike":
        numbers[:] = numbers[0]
    elif kind == "powers":
        numbers = np.exp2(np.arange(heads) % 5 - 3.0)
    return numbers.astype(np.float32).reshape(heads, 1)


def operations(build_dir, kvqc, folder, chip, layout, geometry, source, dtype, kinds, ops=OPS, **more):
    random = np.random.default_rng(83)
    scales = {name: heads_of(kind, geometry[0], random) for name, kind in zip("kv", kinds, strict=True) if kind}
    kernels = Operations(build_dir, kvqc, folder, chip, layout, geometry, source, dtype, ops, options=["per-head-scales"], head_scales=scales, **more)
    for op, kernel in kernels.kernels.items():
        if op.startswith("transcode"):
            continue
        for name, scale in scales.items():
            assert kernel["scales"][name]["value"]["shape"] == [geometry[0]]
            assert np.array_equal(np.float32(kernel["scales"][name]["value"]["values"]), scale.ravel())
    return kernels


@pytest.mark.parametrize("case", [case for case in CASES if "mla" not in case[0]], ids=lambda case: f"{case[0].replace(' ', '-')}-{case[1]}")
@pytest.mark.parametrize("chip", CHIPS)
def test_every_operation(build_dir, kvqc, tmp_path, chip, case):
    layout, which = case
    number = CHIPS.index(chip) + CASES.index(case)
    source, dtype = list(SOURCES)[number % 3], ("fp8", "fp8_e5m2")[number // 3 % 2]
    kinds = KINDS[number % len(KINDS)], KINDS[(number + 2) % len(KINDS)]
    fnuz = BACKENDS[chip] == "host" and which == 1
    kernels = operations(build_dir, kvqc, tmp_path, chip, layout, GEOMETRIES[layout][which], source, dtype, kinds, fnuz=fnuz)
    random = np.random.default_rng(89)
    check_slots(kernels, random)
    check_gather(kernels, random, starts=True)
    for op in OPS[3:]:
        check_whole(kernels, op, random)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kinds", [(kind, None) for kind in KINDS] + [(None, "mixed")], ids=lambda kinds: f"{kinds[0]}-{kinds[1]}")
@pytest.mark.parametrize("chip", sample(["host", *representatives()[1:2]], 2))
def test_one_of_k_and_v(build_dir, kvqc, tmp_path, chip, kinds, source):
    """The other scale is one number for all heads."""
    kernels = operations(build_dir, kvqc, tmp_path, chip, "nhd", (8, 64, 0, 16), source, "fp8", kinds, ops=["store", "load"])
    check_slots(kernels, np.random.default_rng(97))
