"""Times Triton's compiler on the store and the load kernel and prints JSON; benchmarks/run starts it, a new process for every first compilation.

Usage: time_triton.py TARGET RUNS     TARGET is sm_90 or gfx942
"""

import json
import os
import sys
import tempfile
import time

# Each compilation is a real one: nothing is taken from a cache.
os.environ["TRITON_ALWAYS_COMPILE"] = "1"


def main():
    target_name, runs = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRITON_CACHE_DIR"] = folder
        start = time.perf_counter()
        import kernels_triton as kernels
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        imported = time.perf_counter() - start
        is_cuda = target_name.startswith("sm_")
        target = GPUTarget("cuda", int(target_name[3:]), 32) if is_cuda else GPUTarget("hip", target_name, 64)
        code_type = "fp8e4nv" if is_cuda else "fp8e4b8"
        types = ["*bf16", "*bf16", f"*{code_type}", f"*{code_type}", "*i64"] + ["i64"] * (len(kernels.ARGUMENTS) - 5)
        signature = dict(zip(kernels.ARGUMENTS, types, strict=True)) | dict.fromkeys(kernels.CONSTANTS, "constexpr")
        # As launches with such tensors would find: pointers and strides are multiples of 16.
        attributes = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(kernels.ARGUMENTS) if name not in ("num_tokens", "num_blocks")}

        def compile_both(run):
            constants = {"K_SCALE": 0.023 + run * 1e-4, "V_SCALE": 0.031 + run * 1e-4, "HEADS": 8, "HEAD_SIZE": 128, "BLOCK_SIZE": 16}
            start = time.perf_counter()
            for kernel in (kernels.store, kernels.load):
                source = ASTSource(kernel, signature, constexprs=constants, attrs=attributes)
                compiled = triton.compile(source, target=target, options={"num_warps": 4})
                assert compiled.asm["cubin" if is_cuda else "hsaco"]
            return time.perf_counter() - start

        seconds = [compile_both(run) for run in range(runs + 1)]
    print(json.dumps({"version": triton.__version__, "import": imported, "first": seconds[0], "next": seconds[1:]}))


if __name__ == "__main__":
    main()
