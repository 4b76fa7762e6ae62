"""How long kvqc compile takes for a large model and many targets: without a cache, from it, and after a change to one layer."""

import pathlib
import random
import re
import subprocess
import tempfile
import time

from settings import Table
from statistics_of import Samples, milliseconds, ratio

LAYERS = 126
TARGETS = ("sm_80", "sm_90", "sm_100", "gfx942", "gfx950", "host")
LIMIT_MS = 500
LAYER = (
    "kvq.attention @model.layers.{n}.self_attn index {n} geometry <heads = 128, kv_heads = 8, head_size = 128> "
    "source bf16 cache fp8 checkpoint(k = {k:.7f}, v = {v:.7f})\n"
)


def write_model(path, changed=None):
    """A module whose layers all have scales of their own; `changed` (layer, run) gives one of them others."""
    generator = random.Random(1)
    scales = [[generator.uniform(0.005, 0.05) for _ in "kv"] for _ in range(LAYERS)]
    if changed:
        scales[changed[0]] = [0.06 + 0.001 * changed[1]] * 2
    path.write_text("".join(LAYER.format(n=n, k=k, v=v) for n, (k, v) in enumerate(scales)))


def measure(settings):
    """{case: {"seconds": Samples, "built": kernels}}, each over whole processes; what fills the cache is done once."""
    cases = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model = folder / "model.mlir"
        command = [settings.program("kvqc"), "compile", str(model), "-o", str(folder / "out"), "--cache-statistics"]

        def run(case, *options):
            start = time.perf_counter()
            done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
            seconds = time.perf_counter() - start
            built = int(re.search(r"built: (\d+)", done.stdout)[1])
            entry = cases.setdefault(case, {"seconds": [], "built": built})
            assert entry["built"] == built, f"{case}: {built} kernels built, and {entry['built']} before"
            entry["seconds"].append(seconds)

        every, cached = f"--target={','.join(TARGETS)}", f"--cache-dir={folder / 'cache'}"
        write_model(model)
        for target in TARGETS:
            for threads in ("1", "all"):
                jobs = [] if threads == "all" else ["-j1"]
                run(f"{target}, no cache, {threads} thread{'s' * (threads == 'all')}", f"--target={target}", "--no-cache", *jobs)
        run("every target, no cache", every, "--no-cache")
        run("every target, an empty cache", every, cached)
        for _ in range(settings.runs):
            run("every target, from the cache", every, cached)
        for number in range(settings.processes):
            write_model(model, changed=(LAYERS // 2, number))
            run("every target, one layer changed", every, cached)
    return {case: entry | {"seconds": Samples.of(entry["seconds"])} for case, entry in cases.items()}


def tables(results):
    cold = results["every target, no cache"]["seconds"].median
    rows = [["case", "kernels built", "median, ms", "min, ms", "no cache ÷ this"]]
    for case, entry in results.items():
        seconds = entry["seconds"]
        of_all = ratio(cold, seconds.median) if case.startswith("every") else "–"
        rows.append([case, str(entry["built"]), milliseconds(seconds.median), milliseconds(seconds.minimum), of_all])
    yield Table(
        f"Compilation of {LAYERS} layers with scales of their own for {', '.join(TARGETS)}",
        rows,
        f"Wall clock of whole processes, the artefact written to the disk; the aim is less than {LIMIT_MS} ms from the cache on two cores.",
    )
