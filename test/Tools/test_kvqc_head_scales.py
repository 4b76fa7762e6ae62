"""Scales of one number a KV head: refused as the rules say, and taken with --per-head-scales."""

import json
import re
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from artefacts import compiled, copy_of, rewrite
from conftest import SOURCE
from driver import Run, checkpoint, f32, layer, scales
from manifests import manifest_of

REFUSAL = "Only support per-tensor scaling factor for fp8 KV cache"
HINT = "the option 'per-head-scales' takes one number for each KV head"
K, V = [0.5, 0.25], [0.023, 0.125]
SHAPES = [(2,), (2, 1, 1), (1, 2, 1, 1)]


def per_head(folder, k=K, v=V, shape=(2, 1, 1), **config):
    tensors = [f32(*values, shape=shape) if isinstance(values, list) else values for values in (k, v)]
    return checkpoint(folder, scales(*tensors), config)


@pytest.fixture
def inspected(kvqc):
    def run(path, *options, status=0):
        done = Run(kvqc, "inspect", path, "--format", "json", *options)
        assert done.status == status, done.stderr
        return json.loads(done.stdout)

    return run


def test_refusal_names_the_option(kvqc, inspected, tmp_path):
    path = per_head(tmp_path / "model")
    Run(kvqc, "compile", path, "-o", tmp_path / "out").fails("model.safetensors", "model.layers.0.self_attn", REFUSAL, HINT)
    assert not (tmp_path / "out").exists()
    result = inspected(path, status=1)
    [entry] = result["layers"]
    assert entry["error"] == REFUSAL and HINT in entry["notes"] and HINT in result["notes"]
    # What --calculate-kv-scales and auto ignore needs no option.
    for option in (["--calculate-kv-scales"], ["--kv-cache-dtype", "auto"]):
        [entry] = inspected(path, *option)["layers"]
        assert "error" not in entry and HINT not in entry["notes"]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_inspect(kvqc, inspected, tmp_path, shape):
    path = per_head(tmp_path / "model", shape=shape)
    for target, factor in (("sm_90", 1), ("gfx942", 2)):
        [entry] = inspected(path, "--per-head-scales", "--target", target)["layers"]
        assert entry["checkpoint"] == {"q": None, "k": {"shape": list(shape)}, "v": {"shape": list(shape)}, "prob": None}
        assert list(entry["resolved"]) == ["q", "k", "v", "prob"]
        assert (entry["resolved"]["q"], entry["resolved"]["prob"]) == (1.0, 1.0)
        for name, values in (("k", K), ("v", V)):
            assert entry["resolved"][name]["shape"] == [2]
            assert np.array_equal(np.float32(entry["resolved"][name]["values"]), np.float32(values) * np.float32(factor))
    table = Run(kvqc, "inspect", path, "--per-head-scales").succeeds().stdout
    assert "[2] 0.25 to 0.5" in table and "[2] 0.023 to 0.125" in table


@pytest.mark.parametrize(
    ("k", "v", "text"),
    [
        ([0.5, 0.25, 0.125], V, "expected k_scale to be one number, or one for each of 2 KV heads along one dimension, but got 3"),
        (K, [0.5, -0.25], "expected a positive v_scale for every KV head, but got -0.25 for head 1"),
        ([np.nan, 0.25], V, "expected a positive k_scale for every KV head, but got nan for head 0"),
        ([0.5, 0.0], 0.5, "expected a positive k_scale for every KV head, but got 0.0 for head 1"),
        (K, [np.inf, 0.25], "expected a positive finite v_scale after resolution, but got inf"),
        (None, V, "expected a positive k_scale where k_scale and v_scale are not both positive or both negative, but got -1.0"),
        (-0.5, V, "expected a positive k_scale where k_scale and v_scale are not both positive or both negative, but got -0.5"),
    ],
)
def test_numbers_that_are_refused(kvqc, tmp_path, k, v, text):
    shapes = {len(values): (len(values),) for values in (k, v) if isinstance(values, list)}
    tensors = scales(*(f32(*values, shape=shapes[len(values)]) if isinstance(values, list) else values for values in (k, v)))
    path = checkpoint(tmp_path / "model", tensors)
    Run(kvqc, "compile", path, "-o", tmp_path / "out", "--per-head-scales").fails("model.safetensors", "layers.0", text)


def test_options_that_do_not_go_together(kvqc, tmp_path):
    path = per_head(tmp_path / "model")
    for mode in ("argument", "both"):
        Run(kvqc, "compile", path, "-o", tmp_path / "out", "--per-head-scales", "--scales", mode).fails("k_scale", "arguments")
    Run(kvqc, "compile", path, "-o", tmp_path / "out", "--per-head-scales", "--tensor-parallel-size", "2").fails("tensor-parallel size of 1")
    # A q per head is the rules' second error, whatever the option.
    tensors = scales(f32(*K, shape=(2,)), 0.5, q=f32(*K, shape=(2,)))
    Run(kvqc, "compile", checkpoint(tmp_path / "q", tensors), "-o", tmp_path / "out", "--per-head-scales").fails(
        "Only support per-tensor scaling factorfor fp8-quantized Q/prob"
    )
    # Without scales per head the option changes nothing.
    plain = checkpoint(tmp_path / "plain")
    made = []
    for options in ([], ["--per-head-scales"]):
        Run(kvqc, "compile", plain, "-o", tmp_path / "out", *options).succeeds()
        made.append({path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()})
    assert made[0] == made[1]


def test_latent_rows_have_one_head(kvqc, tmp_path):
    text = (
        "kvq.attention @a index 0 geometry <heads = 128, kv_heads = 1, head_size = 576, kv_lora_rank = 512, qk_rope_head_dim = 64> "
        "source bf16 cache fp8 checkpoint(k = dense<0.5> : tensor<8x1x1xf32>)\n"
    )
    (tmp_path / "model.mlir").write_text(text)
    Run(kvqc, "compile", tmp_path / "model.mlir", "-o", tmp_path / "out", "--layout", "mla", "--per-head-scales").fails("1 KV heads", "but got 8")


def test_artefact(kvqc, tmp_path):
    text = layer(0, 4, 2, 64, scales="checkpoint(k = dense<[0.5, 0.25]> : tensor<2xf32>, v = 0.031)")
    text += layer(1, 4, 2, 64, scales="checkpoint(k = dense<[[[0.5]], [[0.25]]]> : tensor<2x1x1xf32>, v = 0.031)")
    text += layer(2, 4, 2, 64, scales="checkpoint(k = 0.5, v = 0.031)")
    (tmp_path / "model.mlir").write_text(text)
    targets = ["sm_90", "gfx942", "host"]
    options = ["--per-head-scales", *(f"--target={target}" for target in targets)]
    Run(kvqc, "compile", tmp_path / "model.mlir", "-o", tmp_path / "out", *options).succeeds()
    manifest = manifest_of(tmp_path / "out")
    for target, factor in zip(targets, [1, 2, 1], strict=True):
        expected = {"shape": [2], "values": [0.5 * factor, 0.25 * factor]}
        layers = manifest["layers"]
        assert [entry["scales"][target]["k"] for entry in layers] == [expected, expected, 0.5 * factor]
        assert all(isinstance(entry["scales"][target]["v"], float) for entry in layers)
        # The first two are the same kernels.
        symbols = [entry["kernels"][target]["store"] for entry in layers]
        assert symbols[0] == symbols[1] != symbols[2]
        [kernel] = [kernel for kernel in manifest["kernels"] if kernel["symbol"] == symbols[0] and kernel["target"] == target]
        assert list(kernel["scales"]) == ["k", "v"] and kernel["scales"]["k"] == {"value": expected, "method": "multiply", "tried": 2 * 65536}
        assert isinstance(kernel["scales"]["v"]["value"], float)
        assert "scale" not in {argument["name"] for argument in kernel["args"]}


@pytest.mark.parametrize("compiler", [["gcc", "-std=c99"], ["g++", "-std=c++11", "-x", "c++"]], ids=["c", "cxx"])
def test_header(kvqc, tmp_path, compiler):
    path = per_head(tmp_path / "model", v=0.125)
    Run(kvqc, "compile", path, "-o", tmp_path / "out", "--per-head-scales").succeeds()
    (tmp_path / "use.c").write_text(
        """#include "kvq_kernels.h"
        #include <stdio.h>
        int main(void) {
          const kvq_layer *layer = &kvq_host_layers[0];
          printf("%g %g %g %d %g\\n", layer->k_scales[0], layer->k_scales[1], layer->k_scale, layer->v_scales == 0, layer->v_scale);
          return 0;
        }"""
    )
    command = [*compiler, "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-const-variable", "-I", tmp_path / "out"]
    subprocess.run([*command, "-o", tmp_path / "use", tmp_path / "use.c"], check=True)
    assert subprocess.run([tmp_path / "use"], capture_output=True, text=True, check=True).stdout == "0.5 0.25 0 1 0.125\n"


def test_llm_compressors_files(kvqc, inspected, tmp_path):
    """The fixture of the strategy attn_head, a bfloat16 [8, 1, 1] for each of k and v."""
    make = SOURCE / "test" / "Inputs" / "make_checkpoints.py"
    subprocess.run([sys.executable, make, tmp_path, "llama-ct-heads"], check=True)
    path = tmp_path / "llama-ct-heads"
    expected = np.linspace(0.02, 0.04, 8).astype(ml_dtypes.bfloat16).astype(np.float32)
    for entry in inspected(path, "--per-head-scales")["layers"]:
        for name in "kv":
            assert entry["checkpoint"][name] == {"shape": [8, 1, 1]}
            assert np.array_equal(np.float32(entry["resolved"][name]["values"]), expected)
    Run(kvqc, "compile", path, "-o", tmp_path / "out", "--per-head-scales", "--target", "sm_90").succeeds()
    Run(kvqc, "compile", path, "-o", tmp_path / "out", "--target", "sm_90").fails(REFUSAL, HINT)


# What kvqc says of a folder.

OPS = "store,load,gather,convert,convert_back,rescale,transcode_to_ocp"


@pytest.fixture(scope="module")
def artefact(kvqc, tmp_path_factory):
    """A layer with two numbers for K and two for V, and one with two for K alone; every operation that has a scale or none."""
    folder = tmp_path_factory.mktemp("heads")
    text = layer(0, 4, 2, 64, scales="checkpoint(k = dense<[0.5, 0.25]> : tensor<2xf32>, v = dense<[0.023, 0.125]> : tensor<2xf32>)")
    text += layer(1, 4, 2, 64, scales="checkpoint(k = dense<[0.75, 0.0077]> : tensor<2xf32>, v = 0.031)")
    (folder / "model.mlir").write_text(text)
    return compiled(kvqc, folder / "model.mlir", folder / "out", "--per-head-scales", "--ops", OPS, "--target", "sm_90", "--target", "host")


def test_show(kvqc, artefact):
    lines = Run(kvqc, "show", artefact).succeeds().stdout.splitlines()
    [store] = [line for line in lines if line.startswith("host ") and " store " in line and "0.125" in line]
    assert "k [0.5, 0.25] by " in store and ", v [0.023, 0.125] by " in store
    [of_layer] = [line for line in lines if "layers.1" in line and " host " in line]
    assert re.search(r" host +1\.0 +\[0\.75, 0\.0077\] +0\.031 +1\.0 ", of_layer)
    assert json.loads(Run(kvqc, "show", artefact, "--format", "json").succeeds().stdout) == manifest_of(artefact)


def test_diff_names_the_numbers(kvqc, artefact, tmp_path):
    text = (artefact.parent / "model.mlir").read_text().replace("[0.023, 0.125]", "[0.023, 0.25]")
    (tmp_path / "model.mlir").write_text(text)
    options = ["--per-head-scales", "--ops", OPS, "--target", "sm_90", "--target", "host"]
    after = compiled(kvqc, tmp_path / "model.mlir", tmp_path / "out", *options)
    run = Run(kvqc, "diff", artefact, after)
    assert run.status == 1
    lines = run.stdout.splitlines()
    for target in ("sm_90", "host"):
        assert f"layer layers.0: {target}: v [0.023, 0.125] -> [0.023, 0.25]" in lines
    assert not any(line.startswith("layer layers.1") for line in lines)
    # Of one kernel the numbers alone.
    other = copy_of(artefact, tmp_path / "other")
    rewrite(other, lambda manifest: manifest["kernels"][0]["scales"]["k"]["value"]["values"].reverse())
    symbol, tried = manifest_of(artefact)["kernels"][0]["symbol"], 2 * 65536
    method = manifest_of(artefact)["kernels"][0]["scales"]["k"]["method"]
    assert Run(kvqc, "diff", artefact, other).stdout.splitlines() == [
        f"kernel sm_90: {symbol}: k scale [0.5, 0.25] by {method}, {tried} tried -> [0.25, 0.5] by {method}, {tried} tried"
    ]
    assert Run(kvqc, "diff", artefact, artefact).succeeds().stdout == ""


@pytest.mark.parametrize("layout", ["nhd", "hnd", "paged", "paged_interleaved"])
def test_verify_runs_every_value_through_every_head(kvqc, tmp_path, layout):
    text = layer(0, 4, 2, 64, scales="checkpoint(k = dense<[0.5, 0.25]> : tensor<2xf32>, v = dense<[0.023, 0.0077]> : tensor<2xf32>)")
    (tmp_path / "model.mlir").write_text(text)
    options = ["--per-head-scales", "--layout", layout, "--ops"]
    numbers = {}
    for op, values in (("store", 65536), ("load", 256), ("convert", 65536), ("convert_back", 256), ("rescale", 256)):
        out = compiled(kvqc, tmp_path / "model.mlir", tmp_path / op, *options, op)
        words = Run(kvqc, "verify", out).succeeds().stdout.splitlines()[-1].split()
        assert words[:4] == ["1", "host", "kernels", "run:"]
        numbers[op] = (int(words[4]), 2 * 2 * values)
    assert all(done >= needed for done, needed in numbers.values()), numbers


@pytest.mark.parametrize("head", [0, 1])
@pytest.mark.parametrize("scale", ["k", "v"])
def test_verify_sees_another_number_of_one_head(kvqc, artefact, tmp_path, scale, head):
    other = copy_of(artefact, tmp_path / "other")

    def change(manifest):
        for kernel in manifest["kernels"]:
            if isinstance(kernel["scales"].get(scale, {}).get("value"), dict):
                kernel["scales"][scale]["value"]["values"][head] *= 1.001

    rewrite(other, change)
    run = Run(kvqc, "verify", other)
    run.fails("host.so: kernel 'kvq_store_nhd", "the bits 0x", "expected 0x", "with the scale ")
    number = {"k": [0.5, 0.25], "v": [0.023, 0.125]}[scale][head]
    assert np.isclose(float(run.stderr.rsplit(" ", 1)[1]), 1.001 * number, rtol=1e-5)
