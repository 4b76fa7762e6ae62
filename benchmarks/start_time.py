"""How long kvq-opt takes to start, beside mlir-opt."""

import shutil
import subprocess
import tempfile
import time

from statistics_of import Samples

EMPTY_MODULE = "module {}\n"


def time_command(command, runs):
    """Wall-clock seconds of `runs` runs of `command`, after one that does not count."""
    seconds = []
    for run in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if run:
            seconds.append(time.perf_counter() - start)
    return Samples(seconds)


def measure(settings):
    """{'kvq-opt --version': Samples, …}."""
    programs = {"kvq-opt": str(settings.program("kvq-opt"))}
    if settings.has_program("kvqc"):
        programs["kvqc"] = str(settings.program("kvqc"))
    if mlir_opt := shutil.which("mlir-opt-22") or shutil.which("mlir-opt"):
        programs["mlir-opt"] = mlir_opt
    results = {}
    with tempfile.NamedTemporaryFile("w", suffix=".mlir") as file:
        file.write(EMPTY_MODULE)
        file.flush()
        for name, program in programs.items():
            results[f"{name} --version"] = time_command([program, "--version"], settings.runs * 2)
            if name != "kvqc":
                results[f"{name} on an empty module"] = time_command([program, file.name], settings.runs * 2)
    return results


def report(results):
    yield "Start, wall clock of the whole process (aim: kvq-opt below 40 ms)"
    yield ["command", "median, ms", "min, ms"]
    for name, samples in results.items():
        yield [name, samples.milliseconds("median"), samples.milliseconds("min")]
