"""Times kernels on this machine's NVIDIA GPU and prints JSON: kvq's, those of kernels.cu and kernels_triton.py, and copies of as many bytes.

Usage: time_gpu.py FOLDED ARGUMENT RUNS [NAME=CUBIN…]

FOLDED and ARGUMENT are kvq's directories of the same layer; a CUBIN has kernels.cu's, with scales as arguments where NAME says so. Every time is of a
CUDA graph of many launches, each on slots of its own, divided by their number: what the GPU takes, without the CPU's part.
"""

import functools
import json
import statistics
import sys

import cupy
import kernels_triton
import kvq
import torch
import triton

HEADS, SIZE, ROWS = 8, 128, 16
SCALES = 0.023, 0.031
TOKENS = [1, 64, 1024, 8192, 65536]
ROW = HEADS * SIZE
# Bytes of a token: K and V in bf16 and in FP8; the query of four times as many heads, K and V in bf16.
MOVED = 2 * ROW * 3
READ_FOR_SCALES = 2 * ROW * 6


class Case:
    """Rows, a cache that is at least four times as large as the tokens need, and slots at random, for `launches` launches."""

    def __init__(self, tokens, launches):
        torch.manual_seed(1)
        self.tokens, self.blocks = tokens, max(1024, 4 * tokens // ROWS)
        self.rows = torch.randn(2, tokens, HEADS, SIZE, device="cuda").to(torch.bfloat16)
        self.caches = torch.randint(0, 100, (2, self.blocks, ROWS, HEADS, SIZE), dtype=torch.uint8, device="cuda")
        self.slots = [torch.randperm(self.blocks * ROWS, device="cuda")[:tokens] for _ in range(launches)]
        pages = -(-tokens // ROWS)
        self.tables = [torch.randperm(self.blocks, device="cuda")[:pages].to(torch.int32)[None] for _ in range(launches)]
        self.lengths = torch.tensor([0, tokens], dtype=torch.int32, device="cuda")
        self.scales = [torch.tensor([scale], device="cuda") for scale in SCALES]

    def strides(self):
        return [self.rows.stride(1)] * 2 + [*self.caches.stride()[1:4]] * 2


def kvq_call(layer, op, case, index, **more):
    key, value = case.rows
    if op == "gather":
        layer.gather(key, value, *case.caches, case.tables[index], case.lengths, **more)
    else:
        getattr(layer, op)(key, value, *case.caches, case.slots[index], **more)


def cuda_call(kernel, case, index, more=()):
    numbers = [case.tokens, case.blocks, *case.strides()]
    tensors = [*case.rows, *case.caches, case.slots[index]]
    arguments = [cupy.uint64(tensor.data_ptr()) for tensor in tensors] + [cupy.int64(number) for number in numbers]
    stream = cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream)
    with stream:
        kernel((-(-case.tokens // 2),), (256,), (*arguments, *(cupy.uint64(scale.data_ptr()) for scale in more)))


def triton_call(kernel, case, index):
    caches = case.caches.view(torch.float8_e4m3fn)
    tensors = [*case.rows, *caches, case.slots[index]]
    kernel[(case.tokens,)](*tensors, case.tokens, case.blocks, *case.strides(), *SCALES, HEADS, SIZE, ROWS, num_warps=4)


def time_graph(call, launches, runs):
    """Seconds of one launch in a graph of `launches`, by the run."""
    call(0)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for index in range(launches):
            call(index)
    seconds = []
    for run in range(runs + 2):
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        graph.replay()
        after.record()
        torch.cuda.synchronize()
        if run > 1:
            seconds.append(before.elapsed_time(after) / 1e3 / launches)
    return {"min": min(seconds), "median": statistics.median(seconds), "runs": runs}


def calls_of(case, layer, by_pointer, cubins):
    """What to launch, by operation and name; each takes which of the case's slots."""
    # A copy reads and writes as many bytes together as the kernel.
    scratch = torch.empty(2, case.tokens * MOVED // 2, dtype=torch.uint8, device="cuda")
    calls = {("copy", "torch's copy_ of as many bytes"): lambda index: scratch[0].copy_(scratch[1])}
    more = dict(zip(("k_scale", "v_scale"), case.scales, strict=True))
    for op in ("store", "load", "gather"):
        calls[op, "kvq"] = functools.partial(kvq_call, layer, op, case)
        calls[op, "kvq, scales as arguments"] = functools.partial(kvq_call, by_pointer, op, case, **more)
        if op == "gather":
            continue
        for name, module in cubins.items():
            calls[op, name] = functools.partial(cuda_call, module.get_function(op), case, more=case.scales if "argument" in name else [])
        calls[op, f"Triton {triton.__version__}"] = functools.partial(triton_call, getattr(kernels_triton, op), case)

    query = torch.randn(case.tokens, 4 * HEADS, SIZE, device="cuda").to(torch.bfloat16)
    running = [torch.zeros(1, device="cuda") for _ in range(3)]

    def largest_by_torch(index):
        for tensor, scale in zip((query, *case.rows), running, strict=True):
            scale.copy_(tensor.abs().max() / 200)

    calls["compute_scales", "kvq"] = lambda index: layer.compute_scales(query, *case.rows, *running)
    calls["compute_scales", "torch: abs().max()"] = largest_by_torch
    return calls


def main():
    folded, argument, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
    cubins = {name: cupy.RawModule(path=path) for name, path in (pair.split("=", 1) for pair in sys.argv[4:])}
    layer, by_pointer = (kvq.open(folder, "cuda").layers[0] for folder in (folded, argument))
    results = []
    for tokens in TOKENS:
        launches = 50 if tokens <= 1024 else 10
        case = Case(tokens, launches)
        for (op, name), call in calls_of(case, layer, by_pointer, cubins).items():
            size = tokens * (READ_FOR_SCALES if op == "compute_scales" else MOVED)
            results.append({"op": op, "name": name, "tokens": tokens, "bytes": size, "seconds": time_graph(call, launches, runs)})
    properties = torch.cuda.get_device_properties(0)
    print(json.dumps({"gpu": properties.name, "torch": torch.__version__, "triton": triton.__version__, "results": results}))


if __name__ == "__main__":
    main()
