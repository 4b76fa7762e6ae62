"""That kernels run in the float modes that the proofs assume: rounding to nearest even, and denormal numbers as they are."""

import re
import subprocess

import pytest
from chips import BACKENDS, EMULATED
from machine_code import read_cubin, read_float_modes
from make_isa_docs import OPS, ROW_OPS
from manifests import manifest_of

LAYERS = "".join(
    f"kvq.attention @layer{index} index {index} geometry <heads = 8, kv_heads = 2, head_size = 64> source {source} cache {dtype} "
    "checkpoint(q = 1.5, k = 0.375, v = 0.023, prob = 0.25)\n"
    for index, (source, dtype) in enumerate([("bf16", "fp8"), ("f16", "fp8_e5m2"), ("f32", "fp8")])
)
AMD = [chip for chip in EMULATED if BACKENDS[chip] == "rocdl"]
NVIDIA = [chip for chip in EMULATED if BACKENDS[chip] == "nvvm"]

# Comparisons with infinity and sums of NaN off a division's usual way, and the division of integers.
FLUSHES_WITHOUT_HARM = r"(?:FSETP\.[A-Z.]+\.FTZ|FADD\.FTZ|F2I\.FTZ)"
DIVIDES = {"rescale", "compute_scales", "quantize_prob"}


@pytest.fixture(scope="module")
def artefact(kvqc, tmp_path_factory):
    """The folder and manifest of every operation for every GPU."""
    folder = tmp_path_factory.mktemp("artefact")
    (folder / "layers.mlir").write_text(LAYERS)
    targets = [option for chip in EMULATED for option in ("--target", chip)]
    command = [kvqc, "compile", folder / "layers.mlir", "-o", folder / "out", "--ops", ",".join(OPS + ROW_OPS), *targets]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "out", manifest_of(folder / "out")


def kernels(manifest, chip):
    return {kernel["symbol"]: kernel["op"] for kernel in manifest["kernels"] if kernel["target"] == chip}


@pytest.mark.parametrize("chip", AMD)
def test_amd(artefact, llvm_tools_dir, chip):
    folder, manifest = artefact
    modes = read_float_modes(folder / f"{chip}.hsaco", chip, llvm_tools_dir)
    assert set(modes) == set(kernels(manifest, chip))
    for symbol, mode in modes.items():
        assert mode.rounding == (0, 0), symbol
        assert mode.denormals == (3, 3), symbol
        # Clamping before a conversion relies on it.
        assert not mode.saturates_halves, symbol
        assert not mode.changed_bits & set(range(8)), symbol


@pytest.mark.parametrize("chip", NVIDIA)
def test_nvidia(request, artefact, chip):
    folder, manifest = artefact
    assert not re.search(r"\.ftz\b", (folder / f"{chip}.ptx").read_text())
    if not (folder / f"{chip}.cubin").exists():
        pytest.skip("nothing here assembles PTX")
    code = read_cubin(folder / f"{chip}.cubin", request.getfixturevalue("nvdisasm"))
    assert set(code) == set(kernels(manifest, chip))
    for symbol, op in kernels(manifest, chip).items():
        flushing = {name for name in code[symbol].instructions if ".FTZ" in name}
        harmful = {name for name in flushing if op not in DIVIDES or not re.match(FLUSHES_WITHOUT_HARM, name)}
        assert not harmful, symbol
