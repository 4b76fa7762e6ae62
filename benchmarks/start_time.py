"""How long kvq-opt and kvqc take to start, beside mlir-opt."""

import shutil
import tempfile

from settings import Table, time_command

LIMIT_MS = 40


def measure(settings):
    """Samples by command."""
    programs = {"kvq-opt": settings.program("kvq-opt")}
    if mlir_opt := shutil.which("mlir-opt-22"):
        programs["mlir-opt 22"] = mlir_opt
    runs = settings.runs * 2
    results = {}
    with tempfile.NamedTemporaryFile("w", suffix=".mlir") as file:
        file.write("module {}\n")
        file.flush()
        for name, program in programs.items():
            results[f"{name} --version"] = time_command([program, "--version"], runs)
            results[f"{name} on an empty module"] = time_command([program, file.name], runs)
    results["kvqc --version"] = time_command([settings.program("kvqc"), "--version"], runs)
    return results


def tables(results):
    rows = [["command", "median, ms", "min, ms"]]
    rows += [[name, samples.ms(), samples.ms("minimum")] for name, samples in results.items()]
    yield Table("Start", rows, f"Wall clock of the whole process; the aim is less than {LIMIT_MS} ms for kvq-opt.")
