"""kvq.compile and kvq.inspect: kvqc's options by Python's names, the same bytes, errors in Python's words, Ctrl-C."""

import inspect
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import pytest


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def kvqc_json(kvqc, checkpoint, *options):
    return json.loads(subprocess.run([kvqc, "inspect", checkpoint, "--format", "json", *options], capture_output=True, check=False).stdout)


def many_layers(path, count):
    """A module of `count` layers, no two with the same scales."""
    geometry = "geometry <heads = 32, kv_heads = 8, head_size = 128>"
    lines = [
        f"kvq.attention @model.layers.{i}.self_attn index {i} {geometry} source bf16 cache fp8 checkpoint(k = {0.01 + i / 997:.9e}, v = 0.03)"
        for i in range(count)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


OPTIONS = [
    ({}, []),
    ({"targets": ["sm_90", "gfx942", "host"]}, ["--target", "sm_90", "--target", "gfx942", "--target", "host"]),
    ({"targets": "sm_90", "ops": ["load", "gather"], "layout": "hnd"}, ["--target", "sm_90", "--ops", "load,gather", "--layout", "hnd"]),
    ({"fnuz": True, "block_size": 32, "source_type": "f16"}, ["--fnuz", "--block-size", "32", "--source-type", "f16"]),
    ({"kv_cache_dtype": "fp8_e5m2", "scales": "argument"}, ["--kv-cache-dtype", "fp8_e5m2", "--scales", "argument"]),
    ({"calculate_kv_scales": True, "bounds": "count"}, ["--calculate-kv-scales", "--bounds", "count"]),
    ({"tensor_parallel_size": 2, "align": 4, "jobs": 1}, ["--tensor-parallel-size", "2", "--align", "4", "-j", "1"]),
    ({"targets": ["sm_90", "host"], "align": [4, 16], "scales": "both"}, "--target sm_90,host --align 4,16 --scales both".split()),
    ({"save_temps": True, "no_cache": True}, ["--save-temps", "--no-cache"]),
    ({"slot_type": "i32", "padding_slot": 7}, ["--slot-type", "i32", "--padding-slot", "7"]),
    (
        {"ops": "compute_scales", "k_scale_constant": 3.5, "v_scale_constant": 7},
        "--ops compute_scales --k-scale-constant 3.5 --v-scale-constant 7".split(),
    ),
]


@pytest.mark.parametrize("keywords, words", OPTIONS, ids=lambda value: " ".join(value) or "defaults")
def test_compile_writes_what_kvqc_writes(kvq, kvqc, checkpoints_dir, tmp_path, keywords, words):
    report = kvq.compile(checkpoints_dir / "llama-ct", tmp_path / "here", **keywords)
    done = subprocess.run(
        [kvqc, "compile", checkpoints_dir / "llama-ct", "-o", tmp_path / "there", *words], capture_output=True, text=True, check=True
    )
    assert files(tmp_path / "here") == files(tmp_path / "there")
    assert report.directory == tmp_path / "here"
    assert [f"warning: {text}" for text in report.warnings] == done.stderr.splitlines()


def test_every_option_of_kvqc_is_a_keyword(kvq, kvqc):
    text = subprocess.run([kvqc, "compile", "--help"], capture_output=True, text=True, check=True).stdout
    words = {word for word in re.findall(r"^  --?([a-z][a-z-]*)", text, re.MULTILINE)} - {
        "help",
        "help-list",
        "o",
        "print-pipeline",
        "cache-statistics",
    }
    names = {"target": "targets", "j": "jobs"}
    wanted = {names.get(word, word.replace("-", "_")) for word in words}
    assert wanted <= set(inspect.signature(kvq.compile).parameters)


def test_report_counts_what_the_cache_had(kvq, checkpoints_dir, tmp_path):
    counts = []
    for _ in range(2):
        report = kvq.compile(checkpoints_dir / "llama-ct", tmp_path / "out", targets=["host", "gfx942"], cache_dir=tmp_path / "cache")
        counts.append((report.kernels, report.kernels_built))
    assert counts[0][0] == counts[0][1] == counts[1][0] and counts[1][1] == 0


def test_paths_of_any_kind(kvq, checkpoints_dir, tmp_path):
    kvq.compile(str(checkpoints_dir / "llama-ct"), str(tmp_path / "a b"))
    kvq.compile(os.fsencode(checkpoints_dir / "llama-ct"), os.fsencode(tmp_path / "b"))
    assert files(tmp_path / "a b") == files(tmp_path / "b")


@pytest.mark.parametrize("name", ["llama-ct", "llama-engine", "llama-noscales", "llama-sharded", "deepseek-mla"])
@pytest.mark.parametrize("target", ["gfx942", "host"])
def test_inspect_is_kvqcs_json(kvq, kvqc, checkpoints_dir, name, target):
    assert kvq.inspect(checkpoints_dir / name, target=target) == kvqc_json(kvqc, checkpoints_dir / name, "--target", target)


def test_inspect_goes_on_past_a_layer_in_error(kvq, kvqc, tmp_path):
    module = tmp_path / "model.mlir"
    wrong = "q = dense<[1.0, 2.0]> : tensor<2xf32>"
    layers = [(0, f"{wrong}, k = 0.5, v = 0.5"), (1, "k = 0.5, v = 0.5")]
    module.write_text("".join(f"kvq.attention @layer{i} index {i} cache fp8 checkpoint({scales})\n" for i, scales in layers))
    inspected = kvq.inspect(module)
    assert "error" in inspected["layers"][0] and "resolved" in inspected["layers"][1]
    assert inspected == kvqc_json(kvqc, module)


REFUSALS = [
    ({"block_size": 0}, "expected 'block_size' to be a number from 1 to 1048576, but got '0'"),
    ({"jobs": 0}, "expected 'jobs' to be a number from 1 to 1024, but got '0'"),
    ({"align": 3}, "expected 'align' to be 1, 2, 4, 8, 16 or 32, but got '3'"),
    ({"align": []}, "expected 'align' to be a number from 1 to 32, but got ''"),
    ({"align": [4, 5]}, "expected 'align' to be 1, 2, 4, 8, 16 or 32, but got '5'"),
    ({"align": 4.5}, "but got '4.5'"),
    ({"ops": ["store", "sort"]}, "expected 'ops' to be one of 'store', 'load', "),
    ({"ops": []}, "expected 'ops' to be at least one of 'store', 'load', "),
    ({"layout": ["nhd", "hnd"]}, "expected one 'layout', but got 2"),
    ({"k_scale_constant": -1.0}, "expected 'k_scale_constant' to be a positive float32 number, but got '-1.0'"),
    ({"fnuz": True, "targets": "sm_90"}, "expected 'fnuz' with the target 'host', whose kernels it is for; chips have formats of their own"),
    ({"targets": "sm_9"}, "'sm_9'"),
    ({"no_cache": True, "cache_dir": "x"}, "expected one of 'no_cache' and 'cache_dir', but got both"),
    ({"nonsense": 1}, "expected a known option, but got 'nonsense'"),
]


@pytest.mark.parametrize("keywords, message", REFUSALS, ids=lambda value: value if isinstance(value, str) else " ".join(value))
def test_refusals_speak_of_keywords(kvq, checkpoints_dir, tmp_path, keywords, message):
    with pytest.raises(kvq.Error, match=re.escape(message)) as raised:
        kvq.compile(checkpoints_dir / "llama-ct", tmp_path / "out", **keywords)
    assert isinstance(raised.value, ValueError) and "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_fault_of_a_file_names_it(kvq, tmp_path):
    for function in (kvq.inspect, kvq.ir.load, lambda path: kvq.compile(path, tmp_path / "out")):
        with pytest.raises(kvq.Error, match=re.escape(str(tmp_path / "absent"))):
            function(tmp_path / "absent")
    (tmp_path / "taken").write_text("")
    with pytest.raises(kvq.Error, match="taken"):
        kvq.compile(tmp_path / "absent", tmp_path / "taken")
    with pytest.raises(kvq.Error, match="an empty one"):
        kvq.compile("", tmp_path / "out")


def test_targets_are_kvqcs(kvq, kvqc):
    assert kvq.list_targets() == subprocess.run([kvqc, "--list-targets"], capture_output=True, text=True, check=True).stdout.split()


def test_other_threads_go_on(kvq, tmp_path):
    """The interpreter's lock is free while kernels are compiled."""
    source, ticks, done = many_layers(tmp_path / "model.mlir", 8), [], threading.Event()

    def tick():
        while not done.wait(0.001):
            ticks.append(time.monotonic())

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.monotonic()
    kvq.compile(source, tmp_path / "out")
    end = time.monotonic()
    done.set()
    thread.join()
    assert len([moment for moment in ticks if start < moment < end]) >= 3


INTERRUPTED = """
import kvq, sys
print("ready", flush=True)
try:
    kvq.compile(sys.argv[1], sys.argv[2], targets=["sm_90", "gfx942", "host"], jobs=1)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_stops_a_compilation(package_dir, tmp_path):
    """The output stays as it was, and the process goes on."""
    source = many_layers(tmp_path / "model.mlir", 120)
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, source, tmp_path / "out"],
        env=dict(os.environ, PYTHONPATH=str(package_dir)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=300)
    assert (process.returncode, output) == (0, "interrupted\n")
    assert not (tmp_path / "out").exists()
    assert [path.name for path in pathlib.Path(tmp_path).iterdir()] == ["model.mlir"]
