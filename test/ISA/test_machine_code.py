"""The machine code of every chip: what a kernel's speed hangs on, read from the code objects themselves.

For each chip of the table, cache dtype and source type, the store and the load of 8 heads of 128 elements are compiled and disassembled. Kinds of
instructions are held, not their order.
"""

import json
import re
import subprocess

import pytest
from chips import CHIPS, is_fnuz

LAYER = (
    "kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source {source} cache {dtype} "
    "checkpoint(q = 1.0, k = 0.375, v = 0.023, prob = 1.0)\n"
)
GPUS = {name: row for name, row in CHIPS.items() if row["Backend"] != "Host"}
FORMATS = ["f8E4M3FN", "f8E4M3FNUZ", "f8E5M2", "f8E5M2FNUZ"]


def bits(value):
    """A bits<n> of TableGen's JSON as a number."""
    return sum(bit << index for index, bit in enumerate(value)) if isinstance(value, list) else value


def is_native(chip, direction, element):
    """Whether the chip table has an instruction for a format; a copy needs none."""
    return element in FORMATS and bool(bits(CHIPS[chip][direction]) >> FORMATS.index(element) & 1)


@pytest.fixture(
    scope="module",
    params=[(dtype, source) for dtype in ("fp8", "fp8_e5m2", "auto") for source in ("bf16", "f16", "f32")],
    ids=lambda param: "-".join(param),
)
def artefact(request, kvqc, tmp_path_factory):
    """(folder, manifest, dtype, source) of one compilation for all chips."""
    dtype, source = request.param
    folder = tmp_path_factory.mktemp("artefact")
    (folder / "layer.mlir").write_text(LAYER.format(source=source, dtype=dtype))
    targets = [option for chip in GPUS for option in ("--target", chip)]
    result = subprocess.run([kvqc, "compile", folder / "layer.mlir", "-o", folder / "out", *targets], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder / "out", json.loads((folder / "out" / "manifest.json").read_text()), dtype, source


def kernels(manifest, chip):
    """The chip's kernels by operation."""
    return {kernel["op"]: kernel for kernel in manifest["kernels"] if kernel["target"] == chip}


def disassemble(request, folder, manifest, chip):
    """The instructions of a code object by kernel symbol."""
    files = next(target["files"] for target in manifest["targets"] if target["target"] == chip)
    if CHIPS[chip]["Backend"] == "NVVM":
        if "cubin" not in files:
            pytest.skip("nothing here assembles PTX")
        command = [request.getfixturevalue("nvdisasm"), folder / files["cubin"]]
        start = re.compile(r"^\.text\.(\w+):", re.MULTILINE)
    else:
        command = [request.getfixturevalue("llvm_tools_dir") / "llvm-objdump", "-d", f"--mcpu={chip}", folder / files["hsaco"]]
        start = re.compile(r"^[0-9a-f]+ <(\w+)>:", re.MULTILINE)
    parts = start.split(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def count(pattern, text):
    return len(re.findall(pattern, text))


# Per backend: accesses of 16 bytes, divisions, and memory of one thread alone.
WIDE_LOAD = {"NVVM": r"\bLDG\.E\.128", "ROCDL": r"\bglobal_load_(?:dwordx4|b128)"}
WIDE_STORE = {"NVVM": r"\bSTG\.E\.128", "ROCDL": r"\bglobal_store_(?:dwordx4|b128)"}
ANY_ACCESS = {"NVVM": r"\b(?:LDG|STG)\.", "ROCDL": r"\bglobal_(?:load|store)_"}
DIVISION = {"NVVM": r"\bMUFU\.RCP", "ROCDL": r"\bv_(?:div_|rcp_)"}
LOCAL = {"NVVM": r"\b(?:LDL|STL)\b", "ROCDL": r"\bscratch_"}
ENCODE = {"NVVM": r"\bF2FP\.SATFINITE\.E[45]M[23]\.F32", "ROCDL": r"\bv_cvt_pk_(?:fp8|bf8)_f32"}
DECODE = {"NVVM": r"\bF2FP\.F16\.E[45]M[23]", "ROCDL": r"\bv_cvt_pk_f32_(?:fp8|bf8)"}


@pytest.mark.parametrize("chip", GPUS)
def test_code(request, artefact, chip):
    folder, manifest, dtype, source = artefact
    made, backend = kernels(manifest, chip), CHIPS[chip]["Backend"]
    element = made["store"]["cache_type"]
    assert ("FNUZ" in element) == (is_fnuz(chip) and dtype != "auto")
    code = disassemble(request, folder, manifest, chip)
    store, load = code[made["store"]["symbol"]], code[made["load"]["symbol"]]

    # Rows are read and written 16 bytes at a time, K and V once each; beside them there are the slot and the cache.
    assert count(WIDE_LOAD[backend], store) == 2
    assert count(WIDE_STORE[backend], load) == 2
    for text in (store, load):
        assert count(ANY_ACCESS[backend], text) <= 5
        assert count(DIVISION[backend], text) == 0
        assert count(LOCAL[backend], text) == 0

    # Two elements an instruction where the chip converts, none where integer code does.
    per_thread = 16 // (4 if source == "f32" else 2) * 2
    assert count(ENCODE[backend], store) == (per_thread // 2 if is_native(chip, "NativeStore", element) else 0)
    assert count(DECODE[backend], load) == (per_thread // 2 if is_native(chip, "NativeLoad", element) else 0)


def test_a_scale_that_is_an_argument_divides(request, kvqc, tmp_path):
    (tmp_path / "layer.mlir").write_text(LAYER.format(source="bf16", dtype="fp8"))
    chips = ["sm_90", "gfx942"]
    targets = [option for chip in chips for option in ("--target", chip)]
    command = [kvqc, "compile", tmp_path / "layer.mlir", "-o", tmp_path / "out", "--scales", "argument", *targets]
    subprocess.run(command, capture_output=True, text=True, check=True)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    for chip in chips:
        code = disassemble(request, tmp_path / "out", manifest, chip)
        assert count(DIVISION[CHIPS[chip]["Backend"]], code[kernels(manifest, chip)["store"]["symbol"]]) > 0
