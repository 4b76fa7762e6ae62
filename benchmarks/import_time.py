"""How long it takes to read the scales of a checkpoint of many shards, beside the safetensors package reading the same numbers."""

import json
import pathlib
import sys
import tempfile
import time

import safetensors
from settings import Table, time_command
from sharded_checkpoint import write_checkpoint
from statistics_of import Samples, ratio


def read_by_package(folder):
    """The scales by name, as an importer in Python would get them: by the index, with safe_open on each shard that it names."""
    names = {}
    for name, shard in json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"].items():
        if name.endswith((".k_scale", ".v_scale")):
            names.setdefault(shard, []).append(name)
    scales = {}
    for shard, wanted in names.items():
        with safetensors.safe_open(folder / shard, framework="numpy") as file:
            for name in wanted:
                scales[name] = float(file.get_tensor(name)[0])
    return scales


def time_package(folder, runs):
    """Seconds inside this process, without Python's start and the package's import."""
    seconds = []
    for run in range(runs + 1):
        start = time.perf_counter()
        scales = read_by_package(folder)
        if run:
            seconds.append(time.perf_counter() - start)
    return Samples.of(seconds), len(scales)


def measure(settings):
    with tempfile.TemporaryDirectory(prefix="kvq-shards-") as name:
        folder = pathlib.Path(name)
        facts = write_checkpoint(folder, settings.shards)
        package, count = time_package(folder, settings.processes)
        process = time_command([sys.executable, "-B", __file__, str(folder)], settings.processes)
        output = folder / "model.mlir"
        kvq = time_command([settings.program("kvqc"), "import", str(folder), "-o", str(output)], settings.processes)
        imported = output.read_text().count("kvq.attention")
    if imported != settings.shards or count != 2 * settings.shards:
        raise RuntimeError(f"expected {settings.shards} layers and two scales for each, but got {imported} layers and {count} scales")
    return {
        "checkpoint": facts,
        "kvqc import, whole process": kvq,
        f"safetensors {safetensors.__version__}, whole process": process,
        f"safetensors {safetensors.__version__}, within a process": package,
    }


def tables(results):
    facts, kvq = results["checkpoint"], results["kvqc import, whole process"]
    rows = [["reader", "median, ms", "min, ms", "÷ kvqc"]]
    for name, samples in results.items():
        if name != "checkpoint":
            rows.append([name, samples.ms(), samples.ms("minimum"), ratio(samples.median, kvq.median)])
    yield Table(
        f"Import of {facts['shards']} shards",
        rows,
        f"{facts['tensors']} tensors, {facts['bytes'] / 1e12:.1f} TB in sparse files, read before. kvqc checks and hashes every header, finds all "
        "layers and their geometry, and writes the IR; the package is asked for the scales alone, by safe_open on every shard.",
    )


if __name__ == "__main__":
    read_by_package(pathlib.Path(sys.argv[1]))
