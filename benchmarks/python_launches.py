"""What a launch costs from Python: kvq's store, beside an operator of torch that does nothing and Triton's launcher, where they are installed."""

import os
import subprocess
import sys
import tempfile

from settings import ROOT, Table, run_json
from statistics_of import Samples

LIMIT_US = 3
ROWS = {
    "numpy": "layer.store, numpy's arrays",
    "torch": "layer.store, torch's tensors",
    "operator": "torch.ops.kvq.store",
    "empty": "a torch operator that does nothing",
    "triton": "a Triton kernel that does nothing",
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
if torch and torch.cuda.is_available():
    # Triton reads a kernel's source from its file.
    sys.path.insert(0, folder + "/..")
    open(folder + "/../triton_empty.py", "w").write("import triton\\n\\n@triton.jit\\ndef empty(a, b, c, d, e):\\n    pass\\n")
    try:
        from triton_empty import empty
    except ImportError:
        pass
    else:
        moved = [tensor.cuda() for tensor in tensors]
        empty[(1,)](*moved)
        found["triton"] = samples(lambda: empty[(1,)](*moved), repeats, 200)
print(json.dumps(found))
"""


def measure(settings):
    """Seconds a call, by what is called."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = str(ROOT / "test" / "Inputs" / "checkpoints" / "llama-ct")
        command = [settings.program("kvqc"), "compile", checkpoint, "-o", f"{folder}/kernels", "--ops", "store"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        environment = dict(os.environ, PYTHONPATH=str(settings.build / "python"))
        found = run_json([sys.executable, "-c", TIMED, f"{folder}/kernels", str(settings.runs)], env=environment)
    return {name: Samples.of(seconds) for name, seconds in (found or {}).items()}


def tables(results):
    if not results:
        return
    rows = [["call", "median, µs", "min, µs"]]
    for name, title in ROWS.items():
        if name in results:
            rows.append([title, f"{results[name].median * 1e6:.2f}", f"{results[name].minimum * 1e6:.2f}"])
    missing = [title for name, title in ROWS.items() if name not in results]
    note = f"Without a slot, so that nothing is launched; the aim is less than {LIMIT_US} µs for layer.store."
    yield Table("Calls from Python", rows, note + (f" Not installed here, or without a GPU: {', '.join(missing)}." if missing else ""))
