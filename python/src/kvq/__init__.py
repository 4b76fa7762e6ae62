"""kvq: kernels for the FP8 KV cache of large language models, compiled from a checkpoint's scales.

    report = kvq.compile("Llama-3.1-8B-FP8-KV", "kernels", targets=["sm_90", "host"])
    artefact = kvq.open("kernels")
    artefact.layers[0].store(key, value, key_cache, value_cache, slot_mapping)

`compile`, `inspect` and `kvq.ir` load the compiler when they are first called; `open` and what it gives need neither LLVM nor MLIR. `kvq.torch` has
custom operators for torch.compile and CUDA graphs, `kvq.vllm` what goes in the place of vLLM's functions.
"""

from kvq import ir, vllm
from kvq._artefact import Artefact, Layer, open
from kvq._compile import CompileReport, compile, inspect, list_targets
from kvq._error import Error
from kvq._version import __version__

__all__ = ["Artefact", "CompileReport", "Error", "Layer", "__version__", "compile", "inspect", "ir", "list_targets", "open", "vllm"]
