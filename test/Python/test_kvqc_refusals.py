"""What kvqc refuses: one `error:` line that names what it is about, exit status 1, nothing on the standard output, nothing left behind."""

import json
import os
import resource
import shutil
import signal
import struct
import subprocess

import pytest
from manifests import manifest_of

LAYER = (
    "kvq.attention @model.layers.0.self_attn index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8 "
    "checkpoint(k = 0.023, v = 0.031)\n"
)


def run(kvqc, *arguments, **options):
    return subprocess.run([kvqc, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


def refused(kvqc, folder, *arguments, **options):
    """Runs kvqc in `folder`, which must be as before; returns the text of its one error."""
    before = sorted(folder.rglob("*"))
    result = run(kvqc, *arguments, cwd=folder, **options)
    assert result.returncode == 1, result
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    assert len(errors) == 1 and errors[0].startswith("error: "), result.stderr
    assert sorted(folder.rglob("*")) == before
    return errors[0].removeprefix("error: ")


@pytest.fixture
def model(checkpoints_dir, tmp_path):
    """A copy of a checkpoint with one file, to break."""
    return shutil.copytree(checkpoints_dir / "llama-ct", tmp_path / "model", copy_function=shutil.copyfile)


@pytest.fixture
def shards(checkpoints_dir, tmp_path):
    """A copy of a checkpoint with three files and an index, to break."""
    return shutil.copytree(checkpoints_dir / "llama-sharded", tmp_path / "model", copy_function=shutil.copyfile)


def read_tensors(folder):
    data = (folder / "model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def write_tensors(folder, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


K_SCALE = "model.layers.0.self_attn.k_scale"


def truncate(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:700])


def cut_data(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-30])


def lying_length(folder):
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 60) + path.read_bytes()[8:])


def lying_offsets(folder):
    header, data = read_tensors(folder)
    header[K_SCALE]["data_offsets"] = [10, 1 << 62]
    write_tensors(folder, header, data)


def wrong_size(folder):
    header, data = read_tensors(folder)
    header[K_SCALE]["shape"] = [3]
    write_tensors(folder, header, data)


def wrong_type(folder):
    header, data = read_tensors(folder)
    header[K_SCALE]["dtype"] = "I16"
    write_tensors(folder, header, data)


def duplicate_tensor(folder):
    header, data = read_tensors(folder)
    text = json.dumps(header)
    write_tensors(folder, (text[:-1] + f', "{K_SCALE}": ' + json.dumps(header[K_SCALE]) + "}").encode(), data)


def deep_header(folder):
    _, data = read_tensors(folder)
    write_tensors(folder, b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", data)


def set_config(text=None, **values):
    """A change of config.json: other text, or other values."""

    def change(folder):
        path = folder / "config.json"
        path.write_text(text if text is not None else json.dumps(json.loads(path.read_text()) | values))

    return change


BROKEN = {
    "truncated header": (truncate, "model.safetensors"),
    "truncated data": (cut_data, "model.safetensors"),
    "lying header length": (lying_length, "model.safetensors"),
    "lying offsets": (lying_offsets, K_SCALE),
    "scale of the wrong size": (wrong_size, K_SCALE),
    "scale of the wrong type": (wrong_type, K_SCALE),
    "duplicate tensor": (duplicate_tensor, K_SCALE),
    "deeply nested header": (deep_header, "model.safetensors"),
    "malformed config": (set_config('{"a": '), "config.json"),
    "config is a list": (set_config("[]"), "config.json"),
    "deeply nested config": (set_config("[" * 200_000 + "]" * 200_000), "config.json"),
    "duplicate key in config": (set_config('{"model_type": "llama", "model_type": "llama"}'), "model_type"),
    "no layers": (set_config(num_hidden_layers=0), "num_hidden_layers"),
    "a million million layers": (set_config(num_hidden_layers=10**12), "num_hidden_layers"),
    "no heads": (set_config(num_key_value_heads=0), "num_key_value_heads"),
    "heads that do not divide": (set_config(num_key_value_heads=7), "KV heads (7)"),
}


@pytest.mark.parametrize("command", ["import", "inspect", "compile"])
@pytest.mark.parametrize("case", BROKEN)
def test_broken_checkpoint(kvqc, model, tmp_path, case, command):
    change, named = BROKEN[case]
    change(model)
    # Only kernels need a geometry, and so one that is right.
    if command != "compile" and case == "heads that do not divide":
        assert run(kvqc, command, "model", cwd=tmp_path).returncode == 0
        return
    error = refused(kvqc, tmp_path, command, "model", *(["-o", "out"] if command != "inspect" else []))
    assert named in error and "model/" in error


def test_missing_shard(kvqc, shards, tmp_path):
    (shards / "model-00002-of-00003.safetensors").unlink()
    assert "model-00002-of-00003.safetensors" in refused(kvqc, tmp_path, "compile", "model", "-o", "out")


@pytest.mark.parametrize("name", ["../model/model-00001-of-00003.safetensors", "/etc/passwd", "a/../../x.safetensors"])
def test_shard_outside(kvqc, shards, tmp_path, name):
    path = shards / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"][K_SCALE] = name
    path.write_text(json.dumps(index))
    assert "model.safetensors.index.json" in refused(kvqc, tmp_path, "compile", "model", "-o", "out")


@pytest.mark.parametrize("value", ["float8_e4m3fn", None])
def test_source_type_that_is_none(kvqc, model, tmp_path, value):
    set_config(torch_dtype=value)(model)
    assert "--source-type" in refused(kvqc, tmp_path, "compile", "model", "-o", "out")
    assert run(kvqc, "compile", "model", "-o", "out", "--source-type", "f16", cwd=tmp_path).returncode == 0


def test_legacy_json_needs_a_config(kvqc, checkpoints_dir, tmp_path):
    scales = checkpoints_dir / "legacy-json" / "kv_cache_scales.json"
    shutil.copyfile(scales, tmp_path / "kv_cache_scales.json")
    assert "--config" in refused(kvqc, tmp_path, "compile", "kv_cache_scales.json", "-o", "out")
    config = checkpoints_dir / "legacy-json" / "config.json"
    assert run(kvqc, "compile", "kv_cache_scales.json", "--config", config, "-o", "out", cwd=tmp_path).returncode == 0


@pytest.fixture
def layers(tmp_path):
    (tmp_path / "model.mlir").write_text(LAYER)
    return tmp_path


def test_output_that_is_somebody_elses(kvqc, layers):
    (layers / "file").write_text("mine")
    (layers / "link").symlink_to("nowhere")
    (layers / "linked").mkdir()
    (layers / "folder-link").symlink_to("linked")
    (layers / "full").mkdir()
    (layers / "full" / "notes.txt").write_text("mine")
    (layers / "foreign").mkdir()
    (layers / "foreign" / "manifest.json").write_text('{"schema": "another/1"}')
    for name in ("file", "link", "folder-link", "folder-link/", "full", "foreign", "absent/out"):
        assert name.rstrip("/") in refused(kvqc, layers, "compile", "model.mlir", "-o", name)
    assert (layers / "full" / "notes.txt").read_text() == "mine"


def test_output_replaces_an_earlier_one_and_an_empty_folder(kvqc, layers):
    (layers / "out").mkdir()
    for target, code in (("host", "host.so"), ("gfx942", "gfx942.hsaco")):
        assert run(kvqc, "compile", "model.mlir", "-o", "out/", "--target", target, cwd=layers).returncode == 0
        assert {path.name for path in (layers / "out").iterdir()} == {"manifest.json", "kvq_kernels.h", code}
    assert {path.name for path in layers.iterdir()} == {"model.mlir", "out"}


def test_failure_keeps_the_earlier_output(kvqc, layers):
    assert run(kvqc, "compile", "model.mlir", "-o", "out", cwd=layers).returncode == 0
    before = {path.name: path.read_bytes() for path in (layers / "out").iterdir()}
    refused(kvqc, layers, "compile", "model.mlir", "-o", "out", "--tensor-parallel-size", "3")
    assert {path.name: path.read_bytes() for path in (layers / "out").iterdir()} == before


def test_folder_that_cannot_be_written(kvqc, layers):
    # Refused to root as well.
    assert "/proc/kvq-out" in refused(kvqc, layers, "compile", "model.mlir", "-o", "/proc/kvq-out")
    if os.geteuid() != 0:
        (layers / "locked").mkdir(mode=0o555)
        assert "locked/out" in refused(kvqc, layers, "compile", "model.mlir", "-o", "locked/out")


def limit_files(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [0, 4096])
def test_full_disk(kvqc, layers, size):
    """A limit on the size of files fails the same calls in the same way as a disk without room."""
    environment = os.environ | {"KVQ_PTX_ASSEMBLER": "none"}
    error = refused(kvqc, layers, "compile", "model.mlir", "-o", "out", "--target", "sm_90", env=environment, preexec_fn=limit_files(size))
    assert error.startswith("out: cannot write ")


@pytest.mark.parametrize("arguments", [["--help"], ["--list-targets"], ["import", "model.mlir"], ["inspect", "model.mlir"]])
def test_full_standard_output(kvqc, layers, arguments):
    with open("/dev/full", "w") as full:
        result = subprocess.run([kvqc, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, cwd=layers, timeout=60)
    assert result.returncode == 1
    assert result.stderr == "error: standard output: cannot write: No space left on device\n"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.02, 0.1, 0.3])
def test_signals_leave_all_or_nothing(kvqc, layers, ending, delay):
    command = [kvqc, "compile", "model.mlir", "-o", "out", "--target", "gfx942", "--target", "host"]
    process = subprocess.Popen(command, cwd=layers, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        process.send_signal(ending)
    process.wait(60)
    names = {path.name for path in layers.iterdir()}
    assert names in ({"model.mlir"}, {"model.mlir", "out"})
    if "out" in names:
        manifest = manifest_of(layers / "out")
        assert [target["target"] for target in manifest["targets"]] == ["gfx942", "host"]


def test_missing_assembler_is_a_warning(kvqc, layers):
    environment = os.environ | {"KVQ_PTX_ASSEMBLER": "none"}
    result = run(kvqc, "compile", "model.mlir", "-o", "out", "--target", "sm_90", "--target", "sm_80", cwd=layers, env=environment)
    assert result.returncode == 0
    assert len([line for line in result.stderr.splitlines() if line.startswith("warning: sm_90: no assembler for PTX")]) == 1
    assert "warning: sm_80" not in result.stderr
    manifest = manifest_of(layers / "out")
    assert [target["files"] for target in manifest["targets"]] == [{"ptx": "sm_90.ptx"}, {"ptx": "sm_80.ptx"}]
    assert any("no assembler" in text for text in manifest["warnings"])
