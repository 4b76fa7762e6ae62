"""Scales per head in machine code: each thread loads its head's constants beside the data, and nothing lies in local memory."""

import subprocess
from collections import Counter

import pytest
from chips import BACKENDS, representatives
from machine_code import read_cubin, read_hsaco
from manifests import manifest_of

LAYER = (
    "kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8 layout <{layout}> "
    "checkpoint(q = 1.0, k = {k}, v = {v}, prob = 1.0)\n"
)
HEADS = "dense<[0.375, 0.023, 0.0243, 0.031, 0.5, 0.25, 0.0277, 0.0162]> : tensor<8xf32>"
CHIPS = [chip for chip in representatives() if BACKENDS[chip] != "host"]


def compiled(request, kvqc, folder, chip, layout, k, v):
    """The kernels of a layer in machine code, by operation."""
    folder.mkdir()
    (folder / "layer.mlir").write_text(LAYER.format(layout=layout, k=k, v=v))
    command = [kvqc, "compile", folder / "layer.mlir", "-o", folder / "out", "--per-head-scales", "--target", chip]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    manifest = manifest_of(folder / "out")
    files = manifest["targets"][0]["files"]
    if BACKENDS[chip] == "rocdl":
        code = read_hsaco(folder / "out" / files["hsaco"], chip, request.getfixturevalue("llvm_tools_dir"))
    elif "cubin" in files:
        code = read_cubin(folder / "out" / files["cubin"], request.getfixturevalue("nvdisasm"))
    else:
        pytest.skip("there is no assembler for PTX")
    return {kernel["op"]: (code[kernel["symbol"]], kernel) for kernel in manifest["kernels"]}


@pytest.mark.parametrize("layout", ["nhd", "paged"])
@pytest.mark.parametrize("chip", CHIPS)
def test_constants_are_loaded(request, kvqc, tmp_path, chip, layout):
    plain = compiled(request, kvqc, tmp_path / "plain", chip, layout, "0.375", "0.375")
    heads = compiled(request, kvqc, tmp_path / "heads", chip, layout, HEADS, HEADS)
    alike = compiled(request, kvqc, tmp_path / "alike", chip, layout, "dense<0.375> : tensor<8xf32>", "dense<0.375> : tensor<8xf32>")
    for op, (code, kernel) in heads.items():
        assert code.local_bytes == 0
        assert not code.count(r"(LDL|STL|scratch_)")
        # One number, or a pair of them, for each vector that has a head; k and v have the same table here.
        size = 8 if kernel["scales"]["k"]["method"] == "two_step" else 4
        more = code.accesses() - plain[op][0].accesses()
        assert set(more) <= {("load", size)} and sum(more.values()) <= 2, more
        # Nothing is looked up where all heads are alike.
        assert Counter(alike[op][0].accesses()) == Counter(plain[op][0].accesses())
