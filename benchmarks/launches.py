"""What the runtime adds to a launch of the driver: the tests' stand-in, which returns at once, and where there is a GPU the real one."""

import tempfile

from settings import CHECKPOINT, Table, chip_of_gpu, run_json
from statistics_of import Samples

LIMIT_NS = 300
# What the stand-in says that its devices are.
STAND_IN_CHIP = "sm_90"
ROWS = {"driver": "cuLaunchKernel, bare", "c": "kvq_kernel_launch (C)", "cpp": "kvq::runtime::Call (C++)"}


def measure(settings):
    """By driver, what kvq-bench-launch prints for the store of a checkpoint's first layer."""
    with tempfile.TemporaryDirectory() as folder:

        def run(chip, *options):
            kernels = settings.compile(CHECKPOINT, f"{folder}/{chip}", chip, "--ops", "store")
            return run_json([settings.program("kvq-bench-launch"), kernels, *options])

        results = {"stand-in": run(STAND_IN_CHIP, f"--repeats={settings.runs * 50}")}
        if chip := chip_of_gpu():
            # The driver queues 1024 launches before a launch waits for the GPU.
            results["driver"] = run(chip, f"--repeats={settings.runs * 10}", "--launches=500", "--driver=libcuda.so.1")
    return results


NOTES = {
    "stand-in": f"a stand-in for the driver that returns at once; the aim is less than {LIMIT_NS} ns above it",
    "driver": "the driver of a GPU, on slots that are all negative, in an empty queue",
}


def tables(results):
    for driver, found in results.items():
        if not found:
            continue
        times = {name: Samples.read(found[name]) for name in ROWS}
        bare = times["driver"]
        rows = [["launch", "median, ns", "min, ns", "above the driver's, ns", "of the driver's"]]
        for name, title in ROWS.items():
            own = times[name]
            above = "-" if name == "driver" else f"{(own.median - bare.median) * 1e9:.1f}"
            rows.append([title, f"{own.median * 1e9:.1f}", f"{own.minimum * 1e9:.1f}", above, f"{own.median / bare.median:.1f}×"])
        yield Table(f"Launches, {driver}", rows, f"{found['arguments']} arguments, {NOTES[driver]}.")
