"""What a launch costs from Python: kvq's store, beside an operator of torch that does nothing and, on a GPU, Triton's launcher."""

import os
import sys
import tempfile

from settings import CHECKPOINT, PEERS, Table, chip_of_gpu, run_json
from statistics_of import Samples

LIMIT_US = 3
ROWS = {
    "numpy": "layer.store, numpy's arrays",
    "torch": "layer.store, torch's tensors",
    "operator": "torch.ops.kvq.store",
    "empty": "a torch operator that does nothing",
}
GPU_ROWS = {
    "kvq": "layer.store, torch's tensors",
    "operator": "torch.ops.kvq.store",
    "vllm": "kvq.vllm's reshape_and_cache_flash",
    "triton": "the same store in Triton",
    "empty": "a Triton kernel that does nothing, with five tensors",
}

# Without slots there is nothing to launch: all that is timed is Python's part, the checks of the tensors and the runtime's arguments.
TIMED = """
import json, sys, time
import ml_dtypes, numpy as np
import kvq

def samples(function, repeats, calls=2000):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            function()
        seconds.append((time.perf_counter() - start) / calls)
    return seconds

folder, repeats = sys.argv[1], int(sys.argv[2])
artefact = kvq.open(folder, "host")
layer, found = artefact.layers[0], {}
kernel = layer.kernel("store")
shape = kernel["num_kv_heads"], kernel["head_size"]
rows, caches, slots = np.zeros((8, *shape), ml_dtypes.bfloat16), np.zeros((2, 4, kernel["block_size"], *shape), np.uint8), np.zeros(0, np.int64)
arguments = rows, rows, caches[0], caches[1], slots
found["numpy"] = samples(lambda: layer.store(*arguments), repeats)
try:
    import torch
except ImportError:
    torch = None
if torch:
    import kvq.torch
    kvq.torch.bind(artefact)
    torch.library.define("bench::empty", "(Tensor a, Tensor b, Tensor(a!) c, Tensor(b!) d, Tensor e, str name) -> ()")
    torch.library.impl("bench::empty", ["CPU", "CUDA"])(lambda *arguments: None)
    caches = torch.from_numpy(caches)
    wide = torch.zeros(8, *shape, dtype=torch.bfloat16)
    tensors = wide, wide.clone(), caches[0], caches[1], torch.from_numpy(slots)
    found["torch"] = samples(lambda: layer.store(*tensors), repeats)
    found["operator"] = samples(lambda: torch.ops.kvq.store(*tensors, layer.name), repeats)
    found["empty"] = samples(lambda: torch.ops.bench.empty(*tensors, layer.name), repeats)
if torch and torch.cuda.is_available() and len(sys.argv) > 3:
    # One launch at a time in an empty queue, on slots that are all negative.
    import kernels_triton, triton, triton.language as tl

    @triton.jit
    def empty(a, b, c, d, e):
        pass

    def launches(name, function):
        seconds = []
        for _ in range(repeats):
            torch.cuda.synchronize()
            seconds += samples(function, 1, 200)
        gpu[name] = seconds

    gpu = found["gpu"] = {}
    on_gpu = kvq.open(sys.argv[3], "cuda")
    kvq.torch.bind(on_gpu, prefix="gpu.")
    layer = on_gpu.layers[0]
    wide, caches = wide.cuda(), torch.zeros(2, 4, kernel["block_size"], *shape, dtype=torch.float8_e4m3fn, device="cuda")
    tensors = wide, wide.clone(), caches[0], caches[1], torch.full((8,), -1, device="cuda")
    numbers = [8, 4, wide.stride(0), wide.stride(0), *caches.stride()[1:4], *caches.stride()[1:4]]
    scales = [torch.tensor([layer.scales[name]], device="cuda") for name in "kv"]
    function, name = kvq.vllm.bind(layer), "gpu." + layer.name
    warm = [
        ("kvq", lambda: layer.store(*tensors)),
        ("operator", lambda: torch.ops.kvq.store(*tensors, name)),
        ("vllm", lambda: function(*tensors, "fp8", *scales)),
        ("triton", lambda: kernels_triton.store[(8,)](*tensors, *numbers, 0.023, 0.031, *shape, kernel["block_size"])),
        ("empty", lambda: empty[(1,)](*tensors)),
    ]
    for title, call in warm:
        call()
        launches(title, call)
    found["gpu_name"] = torch.cuda.get_device_name()
print(json.dumps(found))
"""


def measure(settings):
    """Seconds a call, by what is called; on a GPU too, where there is one."""
    with tempfile.TemporaryDirectory() as folder:
        targets = ["host", *filter(None, [chip_of_gpu()])]
        host, *gpu = [settings.compile(CHECKPOINT, f"{folder}/{target}", target, "--ops", "store") for target in targets]
        # Triton reads a kernel's source from its file.
        script = f"{folder}/timed.py"
        with open(script, "w") as file:
            file.write(TIMED)
        paths = [str(settings.build / "python"), str(PEERS), os.environ.get("PYTHONPATH", "")]
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(paths))
        found = run_json([sys.executable, script, host, str(settings.runs), *gpu], env=environment) or {}
    on_gpu, name = found.pop("gpu", {}), found.pop("gpu_name", "")
    result = {title: Samples.of(seconds) for title, seconds in found.items()}
    if on_gpu:
        result["gpu"] = {"name": name, "calls": {title: Samples.of(seconds) for title, seconds in on_gpu.items()}}
    return result


def calls(titles, found):
    """Rows of the calls that were measured."""
    rows = [["call", "median, µs", "min, µs"]]
    for name, title in titles.items():
        if name in found:
            rows.append([title, f"{found[name].median * 1e6:.2f}", f"{found[name].minimum * 1e6:.2f}"])
    return rows


def tables(results):
    if not results:
        return
    missing = [title for name, title in ROWS.items() if name not in results]
    note = f"Without a slot, so that nothing is launched; the aim is less than {LIMIT_US} µs for layer.store."
    yield Table("Calls from Python", calls(ROWS, results), note + (f" Not installed here: {', '.join(missing)}." if missing else ""))
    if gpu := results.get("gpu"):
        note = "A launch with eight slots, all negative, in an empty queue: the CPU's time, the driver's included."
        yield Table(f"Launches from Python, {gpu['name']}", calls(GPU_ROWS, gpu["calls"]), note)
