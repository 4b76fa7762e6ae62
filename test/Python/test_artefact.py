"""kvqc from a checkpoint to an artefact: its files, whatever they are made from, and the host kernels run against ml_dtypes."""

import hashlib
import itertools
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from manifests import manifest_of

TARGETS = ["sm_90", "gfx942", "host"]


def run(kvqc, *arguments, **options):
    return subprocess.run([kvqc, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=300, **options)


def compiled(kvqc, source, folder, *arguments):
    """The manifest of an artefact made from `source` in `folder`."""
    run(kvqc, "compile", source, "-o", folder, *arguments)
    return manifest_of(folder)


def layer(index, heads, kv_heads, size, source="bf16", cache="fp8", k="0.023", v="0.031"):
    geometry = f"geometry <heads = {heads}, kv_heads = {kv_heads}, head_size = {size}>"
    return f"kvq.attention @model.layers.{index}.self_attn index {index} {geometry} source {source} cache {cache} checkpoint(k = {k}, v = {v})\n"


def check_artefact(source_dir, folder, *options):
    """The line that utils/check_artefact.py ends with."""
    script = source_dir / "utils" / "check_artefact.py"
    result = subprocess.run([sys.executable, script, folder, *options], capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def artefact(kvqc, checkpoints_dir, tmp_path_factory):
    """(folder, manifest) of a checkpoint on one target of each backend."""
    folder = tmp_path_factory.mktemp("artefact") / "out"
    return folder, compiled(kvqc, checkpoints_dir / "llama-ct", folder, *itertools.chain(*(("--target", t) for t in TARGETS)))


def test_manifest_has_the_schemas_keys_in_order(artefact):
    folder, manifest = artefact
    assert list(manifest) == "schema producer checkpoint tensor_parallel_size warnings notes targets kernels layers sha256".split()
    assert manifest["schema"] == "kvq.manifest/1" and re.fullmatch(r"kvq \d+\.\d+\.\d+", manifest["producer"])
    assert list(manifest["checkpoint"]) == ["format", "model_type", "sha256"]
    assert manifest["checkpoint"]["format"] == "compressed-tensors" and re.fullmatch("[0-9a-f]{64}", manifest["checkpoint"]["sha256"])
    assert [list(target) for target in manifest["targets"]] == [["target", "backend", "fnuz", "cache_type", "files"]] * 3
    kernel_keys = "symbol target op layout source_type cache_type num_kv_heads head_size".split()
    kernel_keys += "block_size bounds scales args block grid shared_bytes".split()
    assert all(list(kernel) == kernel_keys for kernel in manifest["kernels"])
    assert all(list(scale)[:2] == ["value", "method"] for kernel in manifest["kernels"] for scale in kernel["scales"].values())
    assert all(list(entry) == "name index scales calculate_kv_scales kernels warnings notes".split() for entry in manifest["layers"])
    assert all(list(entry["scales"]) == TARGETS and list(entry["kernels"]["host"]) == ["store", "load"] for entry in manifest["layers"])


def test_manifest_names_every_file_and_kernel(artefact):
    folder, manifest = artefact
    named = {"manifest.json", "kvq_kernels.h"} | {name for target in manifest["targets"] for name in target["files"].values()}
    assert {path.name for path in folder.iterdir()} == named
    symbols = {(kernel["target"], kernel["symbol"]) for kernel in manifest["kernels"]}
    assert len(symbols) == len(manifest["kernels"])
    used = {(target, symbol) for entry in manifest["layers"] for target, ops in entry["kernels"].items() for symbol in ops.values()}
    assert used == symbols
    for kernel in manifest["kernels"]:
        code = next(target for target in manifest["targets"] if target["target"] == kernel["target"])
        for name in code["files"].values():
            assert kernel["symbol"].encode() in (folder / name).read_bytes()
        assert re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", kernel["symbol"])


def test_manifest_doubles_on_the_fnuz_chip(artefact):
    _, manifest = artefact
    assert [(t["fnuz"], t["cache_type"]) for t in manifest["targets"]] == [(False, "f8E4M3FN"), (True, "f8E4M3FNUZ"), (False, "f8E4M3FN")]
    for entry in manifest["layers"]:
        assert np.float32(entry["scales"]["gfx942"]["k"]) == 2 * np.float32(entry["scales"]["sm_90"]["k"])


def test_numbers_are_float32_with_a_point(artefact):
    folder, _ = artefact
    text = (folder / "manifest.json").read_text()
    for number in re.findall(r'"(?:q|k|v|prob|value)": ([-\d][^,}\s]*)', text):
        assert "." in number or "e" in number
    assert '"k": 0.021484375' in text


def test_no_place_or_time_is_in_the_files(kvqc, checkpoints_dir, source_dir, tmp_path):
    """The same bytes from another folder, in another order of work, and nothing of where they were made."""
    targets = list(itertools.chain(*(("--target", t) for t in TARGETS)))
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for path in (checkpoints_dir / "llama-sharded").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    outputs = []
    for source, name, jobs in ((checkpoints_dir / "llama-sharded", "a", "1"), (copy, "b", "2"), (copy, "b", "7")):
        compiled(kvqc, source, tmp_path / name, *targets, "-j", jobs)
        outputs.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert outputs[0] == outputs[1] == outputs[2]
    for place in (str(source_dir), str(tmp_path), "/tmp/"):
        assert not any(place.encode() in data for data in outputs[0].values())


@pytest.mark.parametrize("compiler", [["gcc", "-std=c99"], ["g++", "-std=c++11", "-x", "c++"]])
def test_header_is_c_and_cxx(artefact, tmp_path, compiler):
    folder, manifest = artefact
    host = next(kernel for kernel in manifest["kernels"] if kernel["target"] == "host")
    sm_90 = next(kernel for kernel in manifest["kernels"] if kernel["target"] == "sm_90")
    (tmp_path / "use.c").write_text(f"""
#include "kvq_kernels.h"
#include "kvq_kernels.h"
int main(void) {{
  sm_90_{sm_90["symbol"]}_args args;
  kvq_launch launch;
  void *params[{len(sm_90["args"])}];
  args.num_tokens = 5;
  launch = sm_90_{sm_90["symbol"]}_geometry(&args);
  sm_90_{sm_90["symbol"]}_params(&args, params);
  void (*host)(void *, void *, void *, void *, void *, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t) =
      {host["symbol"]};
  if (!host || params[5] != &args.num_tokens || launch.block[1] != 1)
    return 1;
  if (kvq_gfx942_num_layers != {len(manifest["layers"])} || kvq_gfx942_layers[0].k_scale != 2 * kvq_sm_90_layers[0].k_scale)
    return 2;
  return (int)launch.grid[0];
}}
""")
    host_object = folder / "host.so"
    command = [*compiler, "-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{folder}", tmp_path / "use.c", "-x", "none", host_object]
    subprocess.run([*command, "-o", tmp_path / "use"], check=True)
    grid = sm_90["grid"][0]
    expected = 5 if grid == "num_tokens" else -(-5 // grid["ceil_div"][1])
    assert subprocess.run([tmp_path / "use"], env={"LD_LIBRARY_PATH": str(folder)}).returncode == expected


def test_module_is_hashed_and_attributes_stand(kvqc, tmp_path):
    source = tmp_path / "model.mlir"
    source.write_text(layer(0, 8, 2, 64, cache="fp8_e5m2"))
    manifest = compiled(kvqc, source, tmp_path / "out")
    assert manifest["checkpoint"] == {"format": "mlir", "model_type": "", "sha256": hashlib.sha256(source.read_bytes()).hexdigest()}
    assert manifest["targets"][0]["target"] == "host" and manifest["targets"][0]["cache_type"] == "f8E5M2"


def test_import_compiles_to_the_same_code(kvqc, checkpoints_dir, tmp_path):
    checkpoint = checkpoints_dir / "llama-ct"
    run(kvqc, "import", checkpoint, "-o", tmp_path / "model.mlir")
    direct = compiled(kvqc, checkpoint, tmp_path / "direct")
    again = compiled(kvqc, tmp_path / "model.mlir", tmp_path / "again")
    assert direct["kernels"] == again["kernels"] and direct["layers"] == again["layers"]
    assert (tmp_path / "direct" / "host.so").read_bytes() == (tmp_path / "again" / "host.so").read_bytes()


def test_inspect_and_compile_agree(kvqc, checkpoints_dir, artefact):
    _, manifest = artefact
    for target in TARGETS:
        text = run(kvqc, "inspect", checkpoints_dir / "llama-ct", "--target", target, "--format", "json").stdout
        inspected = json.loads(text)
        assert list(inspected) == "schema format target fnuz kv_cache_dtype cache_type warnings notes unused layers".split()
        for one, other in zip(inspected["layers"], manifest["layers"], strict=True):
            assert list(one) == "name index checkpoint resolved calculate_kv_scales warnings notes".split()
            assert (one["name"], one["index"], one["resolved"]) == (other["name"], other["index"], other["scales"][target])
            assert (one["warnings"], one["notes"]) == (other["warnings"][target], other["notes"][target])


SHAPES = [(32, 8, 128), (13, 13, 46), (4, 4, 80), (4, 2, 96), (1, 1, 256), (4, 4, 64)]


@pytest.mark.parametrize("fnuz", [False, True], ids=["ocp", "fnuz"])
@pytest.mark.parametrize("cache", ["fp8", "fp8_e5m2", "auto"])
@pytest.mark.parametrize("source", ["bf16", "f16", "f32"])
def test_host_kernels(kvqc, source_dir, tmp_path, source, cache, fnuz):
    """Every head shape, with scales of every kind of arithmetic, in one artefact."""
    scales = [("0.023", "0.031"), ("1.0", "0.25"), ("1.3e-3", "3.0"), ("0.02301025390625", "17.0"), ("1.0e-5", "450.0"), ("2.0e-7", "7.0e4")]
    text = "".join(layer(i, *shape, source, cache, *scale) for i, (shape, scale) in enumerate(zip(SHAPES, scales, strict=True)))
    (tmp_path / "model.mlir").write_text(text)
    manifest = compiled(kvqc, tmp_path / "model.mlir", tmp_path / "out", *(["--fnuz"] if fnuz else []))
    assert {kernel["num_kv_heads"] for kernel in manifest["kernels"]} == {shape[1] for shape in SHAPES}
    assert all(bool(kernel["scales"]) == (cache != "auto") for kernel in manifest["kernels"])
    assert "0 differences" in check_artefact(source_dir, tmp_path / "out")


@pytest.mark.parametrize(
    "options",
    [
        "--scales argument",
        "--scales argument --fnuz --bounds count",
        "--bounds count",
        "--bounds off",
        "--tensor-parallel-size 4",
        "--tensor-parallel-size 16",
        "--block-size 1",
        "--block-size 48 --align 4",
        "--ops load",
        "--ops load,store",
    ],
)
def test_host_kernels_with_options(kvqc, source_dir, tmp_path, options):
    (tmp_path / "model.mlir").write_text(layer(0, 32, 8, 128) + layer(1, 16, 16, 46, k="0.5", v="0.7"))
    manifest = compiled(kvqc, tmp_path / "model.mlir", tmp_path / "out", *options.split())
    words = options.split()
    for kernel in manifest["kernels"]:
        names = [argument["name"] for argument in kernel["args"]]
        assert ("out_of_range" in names) == ("count" in words)
        assert (names[-2:] == ["k_scale", "v_scale"]) == ("argument" in words)
        if "argument" in words:
            assert kernel["scales"]["k"] == {"value": None, "method": "argument"}
    if "--tensor-parallel-size" in words:
        ranks = int(words[-1])
        assert manifest["tensor_parallel_size"] == ranks
        assert {kernel["num_kv_heads"] for kernel in manifest["kernels"]} == {max(1, 8 // ranks), max(1, 16 // ranks)}
    if "--ops" in words:
        assert {kernel["op"] for kernel in manifest["kernels"]} == set(words[-1].split(","))
    assert "0 differences" in check_artefact(source_dir, tmp_path / "out", *([] if "off" in words else ["--beyond"]))


def test_scales_calculated_on_the_fly_are_arguments(kvqc, source_dir, checkpoints_dir, tmp_path):
    manifest = compiled(kvqc, checkpoints_dir / "llama-ct", tmp_path / "out", "--calculate-kv-scales")
    assert all(entry["calculate_kv_scales"] == {"host": True} for entry in manifest["layers"])
    assert all(kernel["scales"]["v"]["method"] == "argument" for kernel in manifest["kernels"])
    assert "0 differences" in check_artefact(source_dir, tmp_path / "out")


@pytest.mark.parametrize("name", ["llama-ct", "llama-engine", "llama-fp8", "llama-fp8-kv", "llama-modelopt", "llama-noscales", "llama-sharded"])
def test_every_checkpoint(kvqc, source_dir, checkpoints_dir, tmp_path, name):
    compiled(kvqc, checkpoints_dir / name, tmp_path / "out")
    assert "0 differences" in check_artefact(source_dir, tmp_path / "out")
