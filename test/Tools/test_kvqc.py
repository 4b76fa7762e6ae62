"""What kvqc prints and makes of right input, held to the text of the contract."""

import hashlib
import json
import os
import pty
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import SOURCE
from driver import CHECKPOINTS, Run, checkpoint, everything_in, f32, layer, scales
from manifests import manifest_of

HEADS = ((8, 128), (13, 46), (4, 80), (1, 256), (3, 33))
ALL = sorted(path.name for path in CHECKPOINTS.iterdir())
INSPECT = "schema format target fnuz kv_cache_dtype cache_type warnings notes unused layers".split()
MANIFEST = "schema producer checkpoint tensor_parallel_size warnings notes targets kernels layers sha256".split()
KERNEL = "symbol target op layout source_type cache_type num_kv_heads head_size block_size bounds scales args block grid shared_bytes".split()
LAYER = "name index scales calculate_kv_scales kernels warnings notes".split()
ROWS = "key value key_cache value_cache slot_mapping num_tokens num_blocks key_stride value_stride".split()
STRIDES = [f"{name}_{of}_stride" for name in ("key", "value") for of in ("block", "page", "head")]


def source(name):
    """A checkpoint's path and the options that it needs."""
    folder = CHECKPOINTS / name
    if name == "legacy-json":
        return [folder / "kv_cache_scales.json", "--config", folder / "config.json"]
    return [folder]


@pytest.fixture
def inspect(kvqc):
    """A function from arguments to what `inspect --format json` prints; the status must be as given."""

    def run(*arguments, status=0):
        done = Run(kvqc, "inspect", "--format", "json", *arguments)
        assert done.status == status, done.stderr
        return json.loads(done.stdout), done

    return run


@pytest.fixture
def compiled(kvqc, tmp_path):
    """A function from arguments to a new artefact's folder and manifest."""
    made = iter(range(1000))

    def run(*arguments):
        out = tmp_path / f"artefact{next(made)}"
        Run(kvqc, "compile", *arguments, "-o", out).succeeds()
        return out, manifest_of(out)

    return run


@pytest.mark.parametrize("name", ALL)
def test_inspect_of_each_format(inspect, name):
    result, done = inspect(*source(name), "--target", "gfx942")
    assert list(result) == INSPECT
    assert result["schema"] == "kvq.inspect/1" and result["target"] == "gfx942" and result["fnuz"] is True
    assert result["kv_cache_dtype"] == "fp8" and result["cache_type"] == "f8E4M3FNUZ"
    formats = {"llama-modelopt": "modelopt", "llama-noscales": "none", "legacy-json": "legacy-json"}
    formats |= dict.fromkeys(["llama-ct", "llama-sharded"], "compressed-tensors")
    assert result["format"] == formats.get(name, "fp8")
    for entry in result["layers"]:
        assert list(entry) == ["name", "index", "checkpoint", "resolved", "calculate_kv_scales", "warnings", "notes"]
        assert list(entry["checkpoint"]) == list(entry["resolved"]) == ["q", "k", "v", "prob"]
        assert set(entry["warnings"]) <= set(result["warnings"]) and set(entry["notes"]) <= set(result["notes"])
    places = [(entry["index"], entry["name"]) for entry in result["layers"]]
    assert places == sorted(places) and len(places) == (3 if name == "deepseek-mla" else 4)
    assert len(set(result["warnings"])) == len(result["warnings"]) and len(set(result["notes"])) == len(result["notes"])
    # Each text once on stderr, after the first layer that has it.
    printed = [line.removeprefix("warning: ") for line in done.stderr.splitlines()]
    assert [text.split(": ", 1)[1] for text in printed] == result["warnings"]
    assert all(text.split(": ", 1)[0] == result["layers"][0]["name"] for text in printed)


def test_numbers_are_the_shortest_of_float32(kvqc, tmp_path):
    values = [0.1, 1e-45, 3e-39, 3.4e38, 16777216, 1e10, 1 / 3, 2, -0.0, 1.5]
    tensors = {}
    for n, value in enumerate(values):
        tensors |= scales(value, value, n)
    path = checkpoint(tmp_path / "model", tensors, {"num_hidden_layers": len(values)})
    text = Run(kvqc, "inspect", path, "--format", "json", "--kv-cache-dtype", "auto").stdout
    found = re.findall(r'"checkpoint": \{"q": null, "k": (\S+), "v": (\S+), "prob": null\}', text)
    assert len(found) == len(values)
    for (k, v), value in zip(found, values, strict=True):
        assert k == v and re.search(r"[.e]", k) and np.float32(k) == np.float32(value)
        assert len(re.sub(r"[-.]|e.*|^0+", "", k).strip("0")) <= len(np.format_float_scientific(np.float32(value), unique=True).split("e")[0])
    assert found[0] == ("0.1", "0.1") and found[7] == ("2.0", "2.0") and found[8] == ("-0.0", "-0.0")


def test_numbers_that_are_not_finite(inspect, tmp_path):
    result, _ = inspect(checkpoint(tmp_path / "model", scales(np.inf, -np.inf, q=f32(np.nan))), "--kv-cache-dtype", "auto", "--target", "sm_90")
    assert result["layers"][0]["checkpoint"] == {"q": "nan", "k": "inf", "v": "-inf", "prob": None}
    assert result["cache_type"] == "bf16" and result["kv_cache_dtype"] == "auto"
    assert any("not finite" in note for note in result["notes"])


def test_scales_of_several_numbers(inspect, kvqc, tmp_path):
    heads = f32(1, 2, shape=(2, 1, 1))
    path = checkpoint(tmp_path / "model", scales(heads, heads) | scales(0.5, 0.25, 1), {"num_hidden_layers": 2})
    result, done = inspect(path, status=1)
    first, second = result["layers"]
    assert list(first) == ["name", "index", "checkpoint", "error", "calculate_kv_scales", "warnings", "notes"]
    assert first["checkpoint"]["k"] == {"shape": [2, 1, 1]}
    assert second["resolved"]["k"] == 0.5
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "model.safetensors" in errors[0] and first["name"] in errors[0] and errors[0].endswith(first["error"])
    table = Run(kvqc, "inspect", path)
    assert table.status == 1 and "[2, 1, 1]" in table.stdout and "0.25" in table.stdout and table.stderr.count("error: ") == 1
    for option in (["--calculate-kv-scales"], ["--kv-cache-dtype", "auto"]):
        result, _ = inspect(path, *option)
        assert result["layers"][0]["notes"]


def test_every_layer_in_error_has_its_line(inspect, tmp_path):
    tensors = {name: value for n in range(3) for name, value in scales(-0.5, 0.0, n).items()}
    result, done = inspect(checkpoint(tmp_path / "model", tensors, {"num_hidden_layers": 3}), status=1)
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 3 and all(f"layers.{n}." in line for n, line in enumerate(lines))
    assert all("expected a positive k_scale where" in entry["error"] for entry in result["layers"])


def test_unused_tensors(inspect, kvqc, tmp_path):
    names = ["model.layers.7.self_attn.k_scale", "other.v_scale"]
    path = checkpoint(tmp_path / "model", scales(0.5, 0.25) | dict.fromkeys(names, f32(1)))
    result, _ = inspect(path)
    assert sorted(result["unused"]) == names
    assert all(name in Run(kvqc, "inspect", path).succeeds().stdout for name in names)


def test_resolution_follows_the_options(inspect, tmp_path):
    path = CHECKPOINTS / "llama-fp8"

    def k(*options):
        result, _ = inspect(path, *options)
        return result["layers"][0]["resolved"]["k"], result["layers"][0]["calculate_kv_scales"], result["cache_type"], result["target"]

    assert k() == (0.023, False, "f8E4M3FN", "host")
    assert k("--fnuz") == (0.046, False, "f8E4M3FNUZ", "host")
    assert k("--target", "gfx950") == (0.023, False, "f8E4M3FN", "gfx950")
    assert k("--target=gfx942", "--kv-cache-dtype=fp8_e5m2") == (0.046, False, "f8E5M2FNUZ", "gfx942")
    assert k("--calculate-kv-scales") == (1.0, True, "f8E4M3FN", "host")
    assert k("--kv-cache-dtype", "auto", "--source-type", "f16") == (1.0, False, "f16", "host")


@pytest.mark.parametrize("name", ALL)
def test_import_and_back(kvqc, inspect, tmp_path, name):
    """A module that was imported says what the checkpoint says."""
    out = tmp_path / "model.mlir"
    text = Run(kvqc, "import", *source(name)).succeeds().stdout
    assert Run(kvqc, "import", *source(name), "-o", out).succeeds().stdout == ""
    assert out.read_text() == text
    assert Run(kvqc, "import", out).succeeds().stdout == text
    direct, again = inspect(*source(name))[0], inspect(out)[0]
    assert {**again, "format": 0} == {**direct, "format": 0} and again["format"] in (direct["format"], "mlir")


def test_inspect_needs_no_geometry(inspect, tmp_path):
    result, _ = inspect(CHECKPOINTS / "legacy-json" / "kv_cache_scales.json")
    assert result["format"] == "legacy-json" and len(result["layers"]) == 4
    result, _ = inspect(
        checkpoint(tmp_path / "model", config={"hidden_size": None, "num_attention_heads": None, "torch_dtype": None, "head_dim": None})
    )
    assert result["layers"][0]["resolved"]["k"] == 0.5
    (tmp_path / "model.mlir").write_text("kvq.attention @a index 0 cache fp8 checkpoint(k = 0.5)")
    result, _ = inspect(tmp_path / "model.mlir")
    assert result["format"] == "mlir" and result["layers"][0]["resolved"]["k"] == 0.5


def test_manifest(compiled):
    out, manifest = compiled(*source("llama-fp8"), "--target", "sm_90", "--target", "gfx942,host")
    assert list(manifest) == MANIFEST
    assert manifest["schema"] == "kvq.manifest/1" and manifest["producer"] == "kvq 0.1.0" and manifest["tensor_parallel_size"] == 1
    origin = manifest["checkpoint"]
    assert list(origin) == ["format", "model_type", "sha256"] and origin["model_type"] == "llama" and re.fullmatch("[0-9a-f]{64}", origin["sha256"])
    targets = manifest["targets"]
    assert [target["target"] for target in targets] == ["sm_90", "gfx942", "host"]
    assert [list(target) for target in targets] == [["target", "backend", "fnuz", "cache_type", "files"]] * 3
    assert [(t["backend"], t["fnuz"], t["cache_type"]) for t in targets] == [
        ("nvvm", False, "f8E4M3FN"),
        ("rocdl", True, "f8E4M3FNUZ"),
        ("host", False, "f8E4M3FN"),
    ]
    files = [file for target in targets for file in target["files"].values()]
    assert sorted(os.listdir(out)) == sorted([*files, "manifest.json", "kvq_kernels.h"])
    assert list(manifest["sha256"]) == sorted([*files, "kvq_kernels.h"])
    assert all(hashlib.sha256((out / file).read_bytes()).hexdigest() == digest for file, digest in manifest["sha256"].items())
    assert targets[0]["files"]["ptx"] == "sm_90.ptx" and ("cubin" in targets[0]["files"] or "PTX" in str(manifest["warnings"]))
    assert targets[1]["files"] == {"hsaco": "gfx942.hsaco"} and targets[2]["files"] == {"shared_object": "host.so"}
    assert len({kernel["symbol"] for kernel in manifest["kernels"]}) == len(manifest["kernels"]) or len(targets) > 1
    for kernel in manifest["kernels"]:
        assert list(kernel) == KERNEL and re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", kernel["symbol"])
        assert [argument["name"] for argument in kernel["args"]] == ROWS + STRIDES
        for argument in kernel["args"]:
            assert argument["type"] == ("ptr" if argument["name"] in ROWS[:5] else "i64")
            assert ("align" in argument) == (argument["type"] == "ptr")
            assert ("divisible" in argument) == argument["name"].endswith("_stride")
        assert len(kernel["block"]) == len(kernel["grid"]) == 3
        for entry in kernel["scales"].values():
            assert list(entry)[:2] == ["value", "method"] and entry["method"] in ("none", "multiply", "multiply_packed", "two_step", "divide")
    for n, entry in enumerate(manifest["layers"]):
        assert list(entry) == LAYER and entry["index"] == n
        for of_target in LAYER[2:]:
            assert list(entry[of_target]) == ["sm_90", "gfx942", "host"]
        assert list(entry["scales"]["sm_90"]) == ["q", "k", "v", "prob"]
        for target, kernels in entry["kernels"].items():
            assert list(kernels) == ["store", "load"]
            for op, symbol in kernels.items():
                [kernel] = [kernel for kernel in manifest["kernels"] if kernel["target"] == target and kernel["symbol"] == symbol]
                assert kernel["op"] == op and (kernel["num_kv_heads"], kernel["head_size"], kernel["block_size"]) == (8, 128, 16)
                assert all(kernel["scales"][of]["value"] == entry["scales"][target][of] for of in "kv")


def test_equal_layers_share_kernels(compiled, tmp_path):
    (tmp_path / "model.mlir").write_text(layer(0) + layer(1) + layer(2, size=64))
    _, manifest = compiled(tmp_path / "model.mlir")
    first, second, third = (entry["kernels"]["host"] for entry in manifest["layers"])
    assert first == second != third and len(manifest["kernels"]) == 4


def kernels_of(manifest):
    return {kernel["op"]: kernel for kernel in manifest["kernels"]}


def test_options_reach_the_kernels(compiled, tmp_path):
    path = tmp_path / "model.mlir"
    path.write_text(layer())

    def names(*options):
        kernel = kernels_of(compiled(path, *options)[1])["store"]
        return kernel, [argument["name"] for argument in kernel["args"]]

    assert list(kernels_of(compiled(path, "--ops", "load")[1])) == ["load"]
    assert set(kernels_of(compiled(path, "--ops", "load,store", "--ops", "load")[1])) == {"store", "load"}
    kernel, arguments = names("--scales", "argument")
    assert arguments == [*ROWS, *STRIDES, "k_scale", "v_scale"]
    assert kernel["scales"] == dict.fromkeys("kv", {"value": None, "method": "argument"})
    assert names("--bounds", "count")[1] == [*ROWS, *STRIDES, "out_of_range"]
    assert names("--bounds", "count", "--scales", "argument")[1] == [*ROWS, *STRIDES, "out_of_range", "k_scale", "v_scale"]
    kernel, arguments = names("--bounds", "off")
    assert arguments == ROWS + STRIDES and kernel["bounds"] == "off"
    assert names("--block-size", "7")[0]["block_size"] == 7
    assert names("--layout", "nhd")[0]["layout"] == "nhd"
    kernel, _ = names("--align", "8")
    assert max(argument.get("align", 0) for argument in kernel["args"]) == 8
    kernel, _ = names("--fnuz")
    assert kernel["cache_type"] == "f8E4M3FNUZ" and kernel["scales"]["k"]["value"] == 0.046
    for ranks, heads in ((2, 4), (8, 1), (32, 1)):
        out, manifest = compiled(path, "--tensor-parallel-size", ranks)
        assert manifest["tensor_parallel_size"] == ranks and {kernel["num_kv_heads"] for kernel in manifest["kernels"]} == {heads}


def test_calculated_scales_are_arguments(compiled, tmp_path):
    path = tmp_path / "model.mlir"
    path.write_text(layer(0) + layer(1, more="calculate_kv_scales"))
    _, manifest = compiled(path)
    assert [entry["calculate_kv_scales"]["host"] for entry in manifest["layers"]] == [False, True]
    kernels = {kernel["symbol"]: kernel for kernel in manifest["kernels"]}
    methods = [kernels[entry["kernels"]["host"]["store"]]["scales"]["k"]["method"] for entry in manifest["layers"]]
    assert methods[0] != "argument" and methods[1] == "argument"


def test_auto_takes_no_scales(compiled):
    _, manifest = compiled(*source("llama-fp8"), "--kv-cache-dtype", "auto")
    assert manifest["targets"][0]["cache_type"] == "bf16" and len(manifest["kernels"]) == 2
    for kernel in manifest["kernels"]:
        assert kernel["cache_type"] == "bf16" and kernel["scales"] == {}
        assert [argument["name"] for argument in kernel["args"]] == ROWS + STRIDES


def test_same_bytes_everywhere(compiled, tmp_path):
    targets = ["--target", "host,sm_90,gfx942"]
    made = [compiled(*source("llama-fp8"), *targets, *jobs)[0] for jobs in (["-j1"], ["-j", "2"])]
    for other in made[1:]:
        subprocess.run(["diff", "-r", made[0], other], check=True)
    # Where the checkpoint lies does not matter either.
    (tmp_path / "elsewhere").symlink_to(source("llama-fp8")[0])
    subprocess.run(["diff", "-r", made[0], compiled(tmp_path / "elsewhere", *targets)[0]], check=True)


def test_header(compiled, tmp_path):
    (tmp_path / "model.mlir").write_text("".join(layer(n, heads=h, kv_heads=h, size=s) for n, (h, s) in enumerate(HEADS)) + layer(9, cache="auto"))
    for options in ([], ["--scales", "argument", "--bounds", "count", "--target", "host,sm_90,gfx942"]):
        out, manifest = compiled(tmp_path / "model.mlir", *options)
        symbols = [kernel["symbol"] for kernel in manifest["kernels"] if kernel["target"] == "host"]
        text = '#include "kvq_kernels.h"\n' + "int main(void) { return 0"
        text += "".join(f" + ({symbol} == 0)" for symbol in symbols) + "; }\n"
        for compiler, name in ((["cc", "-std=c99"], "main.c"), (["c++", "-std=c++11"], "main.cpp")):
            (tmp_path / name).write_text(text)
            flags = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wno-address", f"-I{out}"]
            subprocess.run([*compiler, *flags, tmp_path / name, out / "host.so", "-o", tmp_path / "main"], check=True)
            subprocess.run([tmp_path / "main"], check=True, env=dict(os.environ, LD_LIBRARY_PATH=str(out)))


@pytest.mark.parametrize(
    "source_type, fnuz, mode, bounds",
    [
        (source_type, fnuz, mode, ("check", "count", "off")[(i + fnuz + 2 * (mode == "fold")) % 3])
        for i, source_type in enumerate(("bf16", "f16", "f32"))
        for fnuz in (False, True)
        for mode in ("fold", "argument")
    ],
)
def test_host_kernels(compiled, tmp_path, source_type, fnuz, mode, bounds):
    shapes = [(cache, heads, size) for cache in ("fp8", "fp8_e5m2", "auto") for heads, size in HEADS]
    model = "".join(layer(n, heads, heads, size, source_type, cache) for n, (cache, heads, size) in enumerate(shapes))
    (tmp_path / "model.mlir").write_text(model)
    out, _ = compiled(tmp_path / "model.mlir", "--scales", mode, "--bounds", bounds, *(["--fnuz"] if fnuz else []))
    done = subprocess.run([sys.executable, SOURCE / "utils" / "check_artefact.py", out], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{len(shapes)} layers, {2 * len(shapes)} host kernels" in done.stdout and " 0 differences" in done.stdout


def targets_of(kvqc):
    return Run(kvqc, "--list-targets").succeeds().stdout.split()


def test_pipeline_of_every_target(kvqc, kvq_opt, tmp_path):
    """kvq-opt takes what --print-pipeline says, and makes of it what kvqc puts into the artefact: the same kernels."""
    path = tmp_path / "model.mlir"
    path.write_text(layer())
    for target in targets_of(kvqc):
        for checkpoint_path in (path, CHECKPOINTS / "llama-fp8"):
            options = ["--target", target, "--scales", "argument"]
            pipeline = Run(kvqc, "compile", checkpoint_path, *options, "--print-pipeline").succeeds().stdout
            assert pipeline.count("\n") == 1
            given = checkpoint_path if checkpoint_path == path else tmp_path / "empty.mlir"
            (tmp_path / "empty.mlir").write_text("")
            lowered = Run(kvq_opt, given, "--pass-pipeline=" + pipeline.strip())
            assert lowered.status == 0, lowered.stderr
            text = lowered.stdout
            assert "llvm.func" in text
            if target in ("host", "sm_90", "gfx942"):
                Run(kvqc, "compile", checkpoint_path, *options, "-o", tmp_path / "out").succeeds()
                symbols = [kernel["symbol"] for kernel in manifest_of(tmp_path / "out")["kernels"]]
                assert all(f"@{symbol}" in text for symbol in symbols)


def test_pipeline_and_output(kvqc, tmp_path):
    run = Run(kvqc, "compile", CHECKPOINTS / "llama-fp8", "--target", "host,sm_90", "--print-pipeline", "-o", tmp_path / "out").succeeds()
    assert len(run.stdout.splitlines()) == 2 and (tmp_path / "out" / "sm_90.ptx").exists()


def test_targets_and_version(kvqc):
    targets = targets_of(kvqc)
    assert len(set(targets)) == len(targets)
    assert {"host", "sm_80", "sm_89", "sm_90", "sm_100", "sm_120", "sm_121", "gfx90a", "gfx942", "gfx950", "gfx1100", "gfx1201"} <= set(targets)
    assert Run(kvqc, "--version").succeeds().stdout == "kvq 0.1.0\n"


def test_help_teaches(kvqc, bin_dir):
    for command in ("import", "inspect", "compile"):
        text = Run(kvqc, command, "--help").succeeds().stdout
        assert f"\n  kvqc {command} " in text and "--kv-cache-dtype" in text and "CHECKPOINT" in text
        assert all(len(line) < 160 for line in text.splitlines())
    for flag in ("--help", "-h", "help"):
        text = Run(kvqc, flag).succeeds().stdout
        assert all(f"kvqc {command} " in text for command in ("import", "inspect", "compile")) and "--list-targets" in text
    for program in ("kvq-opt", "kvq-lsp-server"):
        if (bin_dir / program).exists():
            assert "kvq" in Run(bin_dir / program, "--help").succeeds().stdout


def test_progress_is_for_terminals(kvqc, tmp_path):
    path = tmp_path / "model.mlir"
    path.write_text(layer())
    arguments = [kvqc, "compile", path, "--target", "host,sm_90"]
    piped = Run(*arguments, "-o", tmp_path / "piped").succeeds()
    assert piped.stdout == "" and "\r" not in piped.stderr and "done" not in piped.stderr
    leader, follower = pty.openpty()
    subprocess.run([*arguments, "-o", tmp_path / "terminal"], stderr=follower, check=True)
    os.close(follower)
    shown = os.read(leader, 65536).decode()
    os.close(leader)
    assert "kernels done" in shown and "sm_90" in shown
    assert [*everything_in(tmp_path / "piped").values()] == [*everything_in(tmp_path / "terminal").values()]
