"""The machine code of every chip: what a kernel's speed hangs on, read from the code objects themselves.

For each chip of the table, cache dtype and source type, the store and the load of 8 heads of 128 elements are compiled and disassembled. Kinds of
instructions are held, not their order.
"""

import re
import subprocess
from collections import Counter

import pytest
from chips import CHIPS, is_fnuz, max_access_bytes, representatives
from machine_code import code_object_version, read_cubin, read_hsaco
from manifests import manifest_of

LAYER = (
    "kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source {source} cache {dtype} "
    "checkpoint(q = 1.0, k = 0.375, v = 0.023, prob = 1.0)\n"
)
GPUS = {name: row for name, row in CHIPS.items() if row["Backend"] != "Host"}
FORMATS = ["f8E4M3FN", "f8E4M3FNUZ", "f8E5M2", "f8E5M2FNUZ"]


def is_native(chip, direction, element):
    """Whether the chip table has an instruction for a format; a copy needs none."""
    return element in FORMATS and bool(CHIPS[chip][direction][FORMATS.index(element)])


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
    return folder / "out", manifest_of(folder / "out"), dtype, source


def kernels(manifest, chip):
    """The chip's kernels by operation."""
    return {kernel["op"]: kernel for kernel in manifest["kernels"] if kernel["target"] == chip}


def read(request, folder, manifest, chip):
    """What is in a chip's code object, by kernel symbol."""
    files = next(target["files"] for target in manifest["targets"] if target["target"] == chip)
    if CHIPS[chip]["Backend"] == "ROCDL":
        return read_hsaco(folder / files["hsaco"], chip, request.getfixturevalue("llvm_tools_dir"))
    if "cubin" not in files:
        pytest.skip("nothing here assembles PTX")
    return read_cubin(folder / files["cubin"], request.getfixturevalue("nvdisasm"))


def count(pattern, text):
    return len(re.findall(pattern, text))


# Per backend: what divides, what leaves the kernel, and the conversions of two elements.
DIVISION = {"NVVM": r"MUFU\.RCP", "ROCDL": r"v_(?:div_|rcp_)"}
CALL = {"NVVM": r"CALL", "ROCDL": r"s_(?:swappc|call)"}
LOCAL = {"NVVM": r"(?:LDL|STL)\b", "ROCDL": r"scratch_"}
ENCODE = {"NVVM": r"F2FP\.SATFINITE\.E[45]M[23]\.F32", "ROCDL": r"v_cvt_pk_(?:fp8|bf8)_f32"}
# With the pairs that an instruction decodes.
DECODE = {
    "NVVM": {r"F2FP\.F16\.E[45]M[23]": 1},
    "ROCDL": {r"v_cvt_pk_f32_(?:fp8|bf8)": 1, r"v_cvt_scalef32_pk_b?f16_(?:fp8|bf8)": 1, r"v_cvt_scale_pk8_b?f16_(?:fp8|bf8)": 4},
}

# Half of an NVIDIA chip's threads, and five waves of a SIMD of an AMD chip, have their registers at this many.
MAX_REGISTERS = {"NVVM": 64, "ROCDL": 96}


@pytest.mark.parametrize("chip", GPUS)
def test_code(request, artefact, chip):
    folder, manifest, dtype, source = artefact
    made, backend = kernels(manifest, chip), CHIPS[chip]["Backend"]
    element = made["store"]["cache_type"]
    assert ("FNUZ" in element) == (is_fnuz(chip) and dtype != "auto")
    code = read(request, folder, manifest, chip)
    store, load = code[made["store"]["symbol"]], code[made["load"]["symbol"]]

    # Rows are read and written 16 bytes at a time, K and V once each, the cache as many elements at a time; NVIDIA loads the slot so too.
    source_bytes = 4 if source == "f32" else 2
    elements = 16 // source_bytes
    cache_bytes = 16 if dtype == "auto" else elements
    slot = {("load", 8): 1} if backend == "NVVM" else {}
    assert store.accesses() == Counter({("load", 16): 2, ("store", cache_bytes): 2}) + Counter(slot)
    assert load.accesses() == Counter({("load", cache_bytes): 2, ("store", 16): 2}) + Counter(slot)

    for kernel in (store, load):
        assert kernel.count(DIVISION[backend]) == 0
        assert kernel.count(CALL[backend]) == 0
        assert kernel.count(LOCAL[backend]) == 0
        assert kernel.local_bytes == 0
        assert kernel.registers <= MAX_REGISTERS[backend]

    # Two elements an instruction, or eight, where the chip converts, none where integer code does.
    assert store.count(ENCODE[backend]) == (elements if is_native(chip, "NativeStore", element) else 0)
    assert sum(pairs * load.count(pattern) for pattern, pairs in DECODE[backend].items()) == (
        elements if is_native(chip, "NativeLoad", element) else 0
    )


@pytest.mark.parametrize("dtype", ["fp8", "auto"])
@pytest.mark.parametrize("chip", [name for name in GPUS if max_access_bytes(name) == 32])
def test_32_bytes(request, kvqc, tmp_path, chip, dtype):
    """Where all that a thread moves lies at multiples of 32 bytes, an access has them; rows of 120 elements do not."""
    layer = LAYER.format(source="bf16", dtype=dtype)
    short = layer.replace("@layer index 0", "@short index 1").replace("head_size = 128", "head_size = 120")
    (tmp_path / "layers.mlir").write_text(layer + short)
    command = [kvqc, "compile", tmp_path / "layers.mlir", "-o", tmp_path / "out", "--align", "32", "--target", chip]
    subprocess.run(command, capture_output=True, text=True, check=True)
    manifest = manifest_of(tmp_path / "out")
    code = read(request, tmp_path / "out", manifest, chip)
    for kernel in manifest["kernels"]:
        rows = 32 if kernel["head_size"] == 128 else 16
        cache = rows if dtype == "auto" else rows // 2
        slot = Counter({("load", 8): 1})
        expected = {"store": {("load", rows): 2, ("store", cache): 2}, "load": {("load", cache): 2, ("store", rows): 2}}
        assert code[kernel["symbol"]].accesses() == Counter(expected[kernel["op"]]) + slot
    text = (tmp_path / "out" / f"{chip}.ptx").read_text()
    assert text.count(".version") == 1
    # Four of two kernels with FP8, eight of bit copies, each of which may be one of 8-byte numbers.
    assert count(r"(?:ld\.global\.nc|st\.global)\.v(?:8\.b32|4\.b64)", text) == (4 if dtype == "fp8" else 8)


@pytest.mark.parametrize("chip", [chip for chip in representatives() if chip in GPUS])
def test_latent_rows(request, kvqc, tmp_path, chip):
    """The two parts of a latent row are loaded and converted by the same code."""
    latent = "heads = 128, kv_heads = 1, head_size = 576, kv_lora_rank = 512, qk_rope_head_dim = 64"
    layer = LAYER.format(source="bf16", dtype="fp8").replace("heads = 32, kv_heads = 8, head_size = 128", latent)
    (tmp_path / "layer.mlir").write_text(layer)
    command = [kvqc, "compile", tmp_path / "layer.mlir", "-o", tmp_path / "out", "--layout", "mla", "--target", chip]
    subprocess.run(command, capture_output=True, text=True, check=True)
    manifest = manifest_of(tmp_path / "out")
    code, made = read(request, tmp_path / "out", manifest, chip), kernels(manifest, chip)
    store, load = (code[made[op]["symbol"]] for op in ("store", "load"))
    # Each thread has a slot of its own; one access for both parts, and no narrower one beside it.
    assert {size: count for (side, size), count in store.accesses().items() if side == "load"} == {16: 1, 8: 1}
    assert load.accesses() == Counter({("load", 8): 2, ("store", 16): 1})
    assert store.count(ENCODE[CHIPS[chip]["Backend"]]) == (4 if is_native(chip, "NativeStore", made["store"]["cache_type"]) else 0)


@pytest.mark.parametrize("chip", [name for name, row in GPUS.items() if row["Backend"] == "NVVM"])
def test_ptx(artefact, chip):
    folder, manifest, dtype, source = artefact
    text = (folder / f"{chip}.ptx").read_text()
    made = kernels(manifest, chip)
    parts = re.split(r"\.entry (\w+)\(", text)
    code = dict(zip(parts[1::2], parts[2::2], strict=True))
    store, load = code[made["store"]["symbol"]], code[made["load"]["symbol"]]
    assert count(r"ld\.global\.nc\.v(?:4\.b32|2\.b64)", store) == 2
    assert count(r"st\.global\.v(?:4\.b32|2\.b64)", load) == 2
    assert count(r"\bdiv\.|\brcp\.|\bcall\b|\.local\b", text) == 0

    element, elements = made["store"]["cache_type"], 4 if source == "f32" else 8
    assert count(r"cvt\.rn\.satfinite\.e[45]m[23]x2\.f32", store) == (elements if is_native(chip, "NativeStore", element) else 0)
    assert count(r"cvt\.rn\.f16x2\.e[45]m[23]x2", load) == (elements if is_native(chip, "NativeLoad", element) else 0)


@pytest.mark.parametrize("chip", [name for name, row in GPUS.items() if row["Backend"] == "ROCDL"])
def test_code_object_version(artefact, llvm_tools_dir, chip):
    """Older ROCm releases refuse version 6."""
    folder, manifest, _, _ = artefact
    files = next(target["files"] for target in manifest["targets"] if target["target"] == chip)
    assert code_object_version(folder / files["hsaco"], llvm_tools_dir) == 5


def test_a_scale_that_is_an_argument_divides(request, kvqc, tmp_path):
    """By one reciprocal of each of the two scales."""
    (tmp_path / "layer.mlir").write_text(LAYER.format(source="bf16", dtype="fp8"))
    chips = ["sm_90", "gfx942"]
    targets = [option for chip in chips for option in ("--target", chip)]
    command = [kvqc, "compile", tmp_path / "layer.mlir", "-o", tmp_path / "out", "--scales", "argument", *targets]
    subprocess.run(command, capture_output=True, text=True, check=True)
    manifest = manifest_of(tmp_path / "out")
    for chip, reciprocal in zip(chips, (r"MUFU\.RCP", r"v_rcp_f32"), strict=True):
        code = read(request, tmp_path / "out", manifest, chip)
        assert code[kernels(manifest, chip)["store"]["symbol"]].count(reciprocal) == 2
