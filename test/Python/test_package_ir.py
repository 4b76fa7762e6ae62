"""kvq.ir: modules as text or bytecode through the passes in process, and their code."""

import concurrent.futures
import re
import subprocess

import chips  # noqa: F401  (puts utils on the path)
import pytest
from machine_code import read_hsaco

LAYER = "kvq.attention @layer index 0 geometry <heads = 8, kv_heads = 2, head_size = 64> source bf16 cache fp8 checkpoint(k = 0.023, v = 0.031)\n"
FOLDED = "kvq-resolve-scales{chip=sm_90},kvq-generate-kernels,kvq-fold-scales"


def opt(kvq_opt, text, pipeline):
    """What the program makes of it."""
    command = [kvq_opt, f"--pass-pipeline=builtin.module({pipeline})"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("pipeline", [FOLDED, "kvq-to-rocdl{chip=gfx942 ops=store,load,gather layout=hnd}", "canonicalize", ""])
def test_run_is_kvq_opt(kvq, kvq_opt, pipeline):
    expected = opt(kvq_opt, LAYER, pipeline).strip()
    assert kvq.ir.run(LAYER, pipeline).strip() == expected
    assert kvq.ir.run(LAYER, f"builtin.module({pipeline})").strip() == expected
    assert kvq.ir.run(LAYER.encode(), pipeline).strip() == expected


def test_bytecode_goes_in_and_out(kvq):
    bytecode = kvq.ir.run(LAYER, FOLDED, bytecode=True)
    assert isinstance(bytecode, bytes) and bytecode.startswith(b"ML\xefR")
    assert kvq.ir.parse(bytecode) == kvq.ir.run(LAYER, FOLDED)
    lower = "kvq-lower-cache-ops"
    assert kvq.ir.run(bytecode, lower) == kvq.ir.run(LAYER, f"{FOLDED},{lower}")


def test_load_is_import(kvq, kvqc, checkpoints_dir):
    for name, options, words in (
        ("llama-ct", {}, []),
        ("llama-ct", {"kv_cache_dtype": "auto"}, ["--kv-cache-dtype", "auto"]),
        ("deepseek-mla", {}, []),
    ):
        expected = subprocess.run([kvqc, "import", checkpoints_dir / name, *words], capture_output=True, text=True, check=True).stdout
        assert kvq.ir.load(checkpoints_dir / name, **options) == expected


def test_pipelines_are_those_of_compile(kvq, llvm_tools_dir, checkpoints_dir, tmp_path):
    checkpoint = checkpoints_dir / "llama-ct"
    options = {"targets": ["sm_90", "gfx942"], "block_size": 32}
    [nvvm, rocdl] = kvq.ir.pipelines(checkpoint, **options)
    kvq.compile(checkpoint, tmp_path / "out", **options)
    lowered = kvq.ir.run("module {}", nvvm)
    # The driver links kernels that it compiles one by one: blank lines, numbers of labels and padding differ.
    whole, linked = kvq.ir.translate(lowered, "ptx"), (tmp_path / "out" / "sm_90.ptx").read_text()
    assert re.sub(r"L__BB\d+_", "L__BB_", whole).split() == re.sub(r"L__BB\d+_", "L__BB_", linked).split()
    (tmp_path / "gfx942.hsaco").write_bytes(kvq.ir.translate(kvq.ir.run("module {}", rocdl, bytecode=True), "hsaco"))
    whole, linked = (read_hsaco(folder / "gfx942.hsaco", "gfx942", llvm_tools_dir) for folder in (tmp_path, tmp_path / "out"))
    assert whole == linked and whole


def test_translations(kvq):
    nvvm = kvq.ir.run(LAYER, "kvq-to-nvvm{chip=sm_90}")
    ptx = kvq.ir.translate(nvvm, "ptx")
    assert ptx == kvq.ir.translate(nvvm, "assembly", "sm_90") and ".target sm_90" in ptx
    assert "define ptx_kernel void" in kvq.ir.translate(nvvm, "llvm-ir")
    rocdl = kvq.ir.run(LAYER, "kvq-to-rocdl{chip=gfx942}")
    assert "gfx942" in kvq.ir.translate(rocdl, "assembly")
    host = kvq.ir.run(LAYER, "kvq-to-host{chip=host}")
    assert kvq.ir.translate(host, "shared_object", "host").startswith(b"\x7fELF")
    try:
        assert kvq.ir.translate(nvvm, "cubin").startswith(b"\x7fELF")
    except kvq.Error as error:
        assert "no assembler" in str(error)


ERRORS = [
    (lambda ir: ir.run("module {", ""), r"<module>:1:\d+: "),
    (lambda ir: ir.parse("\n\n  kvq.attention"), r"<module>:3:\d+: "),
    (lambda ir: ir.verify(LAYER.replace("head_size = 64", "head_size = -1")), r"<module>:1:\d+: "),
    (lambda ir: ir.parse("(" * 100_000), "expected brackets at most 500 deep"),
    (lambda ir: ir.parse(b"ML\xefR\x06broken"), ""),
    (lambda ir: ir.parse(b"\xff\xfe\x00"), "<module>:1:1: "),
    (lambda ir: ir.run(LAYER, "nonsense"), "the pipeline is wrong: 'nonsense' does not refer to a registered pass or pass pipeline"),
    (lambda ir: ir.run(LAYER, "kvq-resolve-scales{chip=sm_90"), "the pipeline is wrong: "),
    (lambda ir: ir.run(LAYER, "kvq-fold-scales{speed=fast}"), "the pipeline is wrong: .*speed"),
    (lambda ir: ir.run(LAYER, "kvq-resolve-scales{chip=sm_9}"), "sm_9"),
    (lambda ir: ir.run(LAYER, "kvq-generate-kernels"), "run 'kvq-resolve-scales"),
    (lambda ir: ir.translate("module {}", "ptx", "sm_90"), "expected one 'gpu.module' for 'sm_90', but got 0"),
    (lambda ir: ir.translate("module {}", "ptx"), "expected a chip"),
    (lambda ir: ir.translate("module {}", "ptx", "host"), "expected the kind of code for 'host' to be one of .*'shared_object', but got 'ptx'"),
    (lambda ir: ir.translate(LAYER, "shared_object", "host"), ""),
]


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors_are_one_line(kvq, case):
    function, pattern = ERRORS[case]
    with pytest.raises(kvq.Error) as raised:
        function(kvq.ir)
    text = str(raised.value)
    assert re.search(pattern, text) and text and "\n" not in text


def test_threads_have_contexts_of_their_own(kvq):
    modules = [LAYER.replace("0.023", f"0.0{number}") for number in range(10, 26)]
    expected = [kvq.ir.run(module, FOLDED) for module in modules]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda module: kvq.ir.run(module, FOLDED), modules)) == expected
