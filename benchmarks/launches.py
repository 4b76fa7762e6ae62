"""What the runtime adds to a launch of the driver, which is the tests' stand-in and returns at once."""

import subprocess
import tempfile

from settings import ROOT, Table, run_json
from statistics_of import Samples

LIMIT_NS = 300
ROWS = {"driver": "cuLaunchKernel, bare", "c": "kvq_kernel_launch (C)", "cpp": "kvq::runtime::Call (C++)"}


def measure(settings):
    """What kvq-bench-launch prints, for the store of a checkpoint's first layer."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = str(ROOT / "test" / "Inputs" / "checkpoints" / "llama-ct")
        command = [settings.program("kvqc"), "compile", checkpoint, "-o", f"{folder}/kernels", "--target", "sm_90", "--ops", "store"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return run_json([settings.program("kvq-bench-launch"), f"--repeats={settings.runs * 50}", f"{folder}/kernels"])


def tables(results):
    if not results:
        return
    times = {name: Samples.read(results[name]) for name in ROWS}
    bare = times["driver"]
    rows = [["launch", "median, ns", "min, ns", "above the driver's, ns", "of the driver's"]]
    for name, title in ROWS.items():
        own = times[name]
        above = "-" if name == "driver" else f"{(own.median - bare.median) * 1e9:.1f}"
        rows.append([title, f"{own.median * 1e9:.1f}", f"{own.minimum * 1e9:.1f}", above, f"{own.median / bare.median:.1f}×"])
    note = f"{results['arguments']} arguments, a stand-in for the driver that returns at once; the aim is less than {LIMIT_NS} ns above it."
    yield Table("Launches", rows, note)
