"""Artefacts that kvqc made, opened by the runtime: every kernel of every operation and layout, its arguments and launch as the manifest has them."""

import os
import subprocess

import pytest
import runtime
from manifests import manifest_of, size_of
from runtime import CUDA, HIP, HOST

DEVICES = {"sm_90": CUDA, "gfx942": HIP, "host": HOST}
OPS = ["store", "load", "gather", "convert", "convert_back", "transcode_to_ocp", "transcode_to_fnuz", "rescale", "quantize_query"]
OPS += ["quantize_prob", "compute_scales"]
CASES = {"nhd": ("llama-ct", OPS), "paged": ("llama-ct", ["store", "gather"]), "mla": ("deepseek-mla", ["store", "load", "rescale"])}


@pytest.fixture(scope="module", params=list(CASES))
def artefact(request, kvqc, checkpoints_dir, tmp_path_factory):
    """The folder of an artefact for each sort of device."""
    if "ASAN_OPTIONS" in os.environ:
        pytest.skip("the instrumented library wants an instrumented program")
    folder = tmp_path_factory.mktemp("artefact") / request.param
    targets = [word for target in DEVICES for word in ("--target", target)]
    checkpoint, ops = CASES[request.param]
    command = [kvqc, "compile", checkpoints_dir / checkpoint, "-o", folder, "--layout", request.param, "--ops", ",".join(ops), *targets]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def library(build_dir):
    if not (build_dir / "lib" / "libkvq_runtime.so").exists():
        pytest.skip("libkvq_runtime.so is not there")
    return runtime.Runtime(build_dir)


def sample(kernel, count):
    """Values that suit a kernel: `count` of whatever there is, and the least aligned addresses and strides."""
    values = []
    for index, argument in enumerate(kernel["args"]):
        if argument["type"] == "ptr":
            values.append((1 << 20) * (index + 1) + argument["align"])
        elif "divisible" in argument:
            values.append(argument["divisible"] * (2 * index + 1))
        else:
            values.append(count)
    return values


@pytest.mark.parametrize("target", list(DEVICES))
def test_every_kernel_is_found_and_planned_as_the_manifest_has_it(target, artefact, library, build_dir):
    manifest = manifest_of(artefact)
    kernels = {kernel["symbol"]: kernel for kernel in manifest["kernels"] if kernel["target"] == target}
    planned = set()
    with (
        runtime.drivers(cuda=runtime.stand_in(build_dir, "cuda"), hip=runtime.stand_in(build_dir, "hip")),
        library.open(artefact, DEVICES[target], runtime.ALLOW_PTX) as opened,
    ):
        for layer in manifest["layers"]:
            assert layer["kernels"][target]
            for op, symbol in layer["kernels"][target].items():
                kernel, handle = kernels[symbol], library.find(opened, layer["name"], op)
                for index, argument in enumerate(kernel["args"]):
                    info = library.argument(handle, index)
                    assert info.name.decode() == argument["name"]
                    assert ["ptr", "i64", "i32"][info.type] == argument["type"]
                    assert (info.align, info.divisible) == (argument.get("align", 1), argument.get("divisible", 1))
                for count in (1, 5, 1000):
                    values = sample(kernel, count)
                    plan = library.plan(handle, values)
                    named = dict(zip((argument["name"] for argument in kernel["args"]), values, strict=True))
                    assert plan.symbol.decode() == symbol
                    assert list(plan.grid) == [size_of(size, named) for size in kernel["grid"]]
                    assert list(plan.block) == [size_of(size, named) for size in kernel["block"]]
                    assert plan.shared_bytes == kernel["shared_bytes"]
                assert library.plan(handle, sample(kernel, 0)).symbol is None
                planned.add(symbol)
    assert planned == set(kernels)


@pytest.fixture(scope="module")
def variants(kvqc, checkpoints_dir, tmp_path_factory):
    """The folder of an artefact with kernels of two alignments, whose scales are folded or arguments."""
    if "ASAN_OPTIONS" in os.environ:
        pytest.skip("the instrumented library wants an instrumented program")
    folder = tmp_path_factory.mktemp("variants") / "kernels"
    options = ["--target", ",".join(DEVICES), "--scales", "both", "--align", "4,16"]
    done = subprocess.run([kvqc, "compile", checkpoints_dir / "llama-ct", "-o", folder, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("target", list(DEVICES))
@pytest.mark.parametrize("op", ["store", "load"])
def test_addresses_and_scales_choose_the_kernel(target, op, variants, library, build_dir):
    """Of what kvqc wrote: a cache that is aligned to 4 bytes takes the narrow kernel, one to 16 the wide one, with scales or without."""
    manifest = manifest_of(variants)
    with (
        runtime.drivers(cuda=runtime.stand_in(build_dir, "cuda"), hip=runtime.stand_in(build_dir, "hip")),
        library.open(variants, DEVICES[target], runtime.ALLOW_PTX) as opened,
    ):
        for layer in manifest["layers"]:
            symbols = {"narrow": layer["kernels"][target][op]} | layer["variants"][target][op]
            if target == "host":
                # Unaligned accesses cost nothing there: one kernel is both.
                assert set(symbols) == {"narrow", "dynamic"}
                symbols |= {"align16": symbols["narrow"], "align16_dynamic": symbols["dynamic"]}
            arguments = next(kernel["args"] for kernel in manifest["kernels"] if kernel["symbol"] == symbols["align16_dynamic"])
            handle = library.find(opened, layer["name"], op)
            wide = [1024 * (index + 1) for index in range(len(arguments))]
            narrow = [value + 4 if argument["name"] == "key_cache" else value for argument, value in zip(arguments, wide, strict=True)]
            for values, folded, dynamic in ((wide, "align16", "align16_dynamic"), (narrow, "narrow", "dynamic")):
                for given, symbol in ((values, dynamic), (values[:-2], folded), ([*values[:-2], 0, 0], folded)):
                    assert library.plan(handle, given).symbol.decode() == symbols[symbol]
            assert len(set(symbols.values())) == (2 if target == "host" else 4)


def test_addresses_that_are_one_byte_off_are_refused(artefact, library, build_dir):
    manifest = manifest_of(artefact)
    layer = manifest["layers"][0]["name"]
    refused = 0
    with (
        runtime.drivers(cuda=runtime.stand_in(build_dir, "cuda")),
        library.open(artefact, CUDA, runtime.ALLOW_PTX) as opened,
    ):
        for op, symbol in manifest["layers"][0]["kernels"]["sm_90"].items():
            kernel = next(entry for entry in manifest["kernels"] if entry["symbol"] == symbol and entry["target"] == "sm_90")
            handle = library.find(opened, layer, op)
            for index, argument in enumerate(kernel["args"]):
                unit = argument.get("align", argument.get("divisible", 1))
                if unit == 1:
                    continue
                values = sample(kernel, 3)
                values[index] += 1
                with pytest.raises(runtime.RuntimeFailure, match=f"layer '{layer}', op '{op}': expected .*'{argument['name']}'.*{unit}|{unit} "):
                    library.plan(handle, values)
                refused += 1
    assert refused > 10
