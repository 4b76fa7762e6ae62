"""Kernels on a GPU: kvq's beside the same by hand in CUDA C++ and Triton, and a copy of as many bytes, in the same run."""

import os
import subprocess
import sys
import tempfile

from settings import PEERS, SCALES, Table, chip_of_gpu, find_nvcc, run_json
from statistics_of import Samples, ratio

LAYER = (
    "kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source bf16 cache fp8 "
    "checkpoint(q = 1.0, k = 0.023, v = 0.031, prob = 1.0)\n"
)
OPS = ["store", "load", "gather", "compute_scales"]
CUDA_ROWS = {"CUDA C++": SCALES, "CUDA C++, scales as arguments": []}


def measure(settings):
    """What peers/time_gpu.py prints; None without a GPU, torch or CUDA's compiler."""
    chip = chip_of_gpu()
    nvcc = find_nvcc()
    if chip is None or nvcc is None:
        sys.stderr.write("skipped: the kernels on a GPU, of which there is none, or no nvcc\n")
        return None
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/layer.mlir", "w") as file:
            file.write(LAYER)
        for mode in ("fold", "argument"):
            ops = OPS if mode == "fold" else OPS[:3]
            settings.compile(f"{folder}/layer.mlir", f"{folder}/{mode}", chip, "--scales", mode, "--ops", ",".join(ops))
        cubins = []
        for index, (name, options) in enumerate(CUDA_ROWS.items()):
            cubin = f"{folder}/{index}.cubin"
            subprocess.run([nvcc, f"-arch={chip}", "-O3", "-cubin", *options, "-o", cubin, str(PEERS / "kernels.cu")], check=True)
            cubins.append(f"{name}={cubin}")
        environment = dict(os.environ, PYTHONPATH=str(settings.build / "python") + os.pathsep + os.environ.get("PYTHONPATH", ""))
        command = [sys.executable, str(PEERS / "time_gpu.py"), f"{folder}/fold", f"{folder}/argument", str(settings.runs), *cubins]
        return run_json(command, env=environment)


def tables(results):
    if not results:
        return
    entries = results["results"]
    kvq = {(entry["op"], entry["tokens"]): Samples.read(entry["seconds"]).median for entry in entries if entry["name"] == "kvq"}
    for op in OPS:
        rows = [["tokens", "kernel", "median, µs", "min, µs", "GB/s", "÷ kvq's"]]
        for entry in entries:
            if entry["op"] not in (op, "copy") or (entry["op"] == "copy" and op == "compute_scales"):
                continue
            samples = Samples.read(entry["seconds"])
            rows.append([
                str(entry["tokens"]), entry["name"], f"{samples.median * 1e6:.2f}", f"{samples.minimum * 1e6:.2f}",
                f"{entry['bytes'] / samples.median / 1e9:.0f}", ratio(samples.median, kvq[op, entry["tokens"]]),
            ])  # fmt: skip
        yield Table(
            f"{op} on {results['gpu']}",
            rows,
            "bf16 and f8E4M3FN, 8 heads of 128, slots at random; the GPU's time of a launch in a CUDA graph. Bytes are those read and written, "
            f"without slots. torch {results['torch']}, Triton {results['triton']}." if op == OPS[0] else "",
        )  # fmt: skip
