"""What the measurements are taken with."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from statistics_of import Samples

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / "peers"
CHECKPOINT = ROOT / "test" / "Inputs" / "checkpoints" / "llama-ct"
# The scales of K and V, as options for peers/kernels.cu.
SCALES = ["-DK_SCALE=0.023f", "-DV_SCALE=0.031f"]


@dataclasses.dataclass
class Settings:
    """The command line's choices."""

    build: pathlib.Path
    runs: int
    processes: int
    shards: int

    def program(self, name):
        return str(self.build / "bin" / name)

    def compile(self, source, output, target, *options):
        """Has kvqc compile a checkpoint or a module into `output`, whose path it gives."""
        command = [self.program("kvqc"), "compile", str(source), "-o", str(output), "--target", target, *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return str(output)


@dataclasses.dataclass
class Table:
    """A table of the report: rows of text, the first one its head."""

    title: str
    rows: list
    note: str = ""


def run_json(command, **options):
    """What `command` prints, as JSON; None where it fails, with its message on stderr."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode == 0:
        return json.loads(done.stdout)
    sys.stderr.write(f"skipped: {' '.join(command)}: {done.stderr.strip()}\n")
    return None


def find_nvcc():
    """CUDA's compiler, or None."""
    return shutil.which("nvcc", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/cuda/bin"]))


def query_gpu(field):
    """What the driver says of the first GPU; None where there is no driver or no GPU."""
    try:
        done = subprocess.run(["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader"], capture_output=True, text=True)
    except OSError:
        return None
    lines = done.stdout.splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else None


def gpu_name():
    """The name of the GPU ("NVIDIA H100 80GB HBM3"), or None."""
    return query_gpu("name")


def chip_of_gpu():
    """The chip of the GPU ("sm_90"), or None."""
    capability = query_gpu("compute_cap")
    return capability and f"sm_{capability.replace('.', '')}"


def time_command(command, runs, **options):
    """Wall-clock seconds of the whole process, over `runs` runs after one that does not count."""
    seconds = []
    for run in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
        if run:
            seconds.append(time.perf_counter() - start)
    return Samples.of(seconds)
