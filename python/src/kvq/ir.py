"""The compiler's stages in process: modules as text or bytecode in; text, bytecode or code out.

A module is a `str` of MLIR's text, or `bytes` of text or bytecode. Every function raises `kvq.Error` with one line that has the place in the module,
frees the interpreter's lock while it works, and may be called from any number of threads.
"""

from __future__ import annotations

import os
from typing import Literal, overload

from kvq import _options
from kvq._compile import StrPath

Module = str | bytes
Kind = Literal["llvm-ir", "assembly", "ptx", "cubin", "hsaco", "shared_object"]

__all__ = ["load", "parse", "pipelines", "run", "translate", "verify"]


def _source(module: Module) -> bytes:
    return module.encode() if isinstance(module, str) else module


def load(
    checkpoint: StrPath,
    *,
    kv_cache_dtype: str | None = None,
    calculate_kv_scales: bool | None = None,
    source_type: str | None = None,
    config: StrPath | None = None,
) -> str:
    """A checkpoint's attention layers and their scales as the text of a module of `kvq.attention`, as `kvqc import` prints it."""
    from kvq import _compiler

    options = {"kv_cache_dtype": kv_cache_dtype, "calculate_kv_scales": calculate_kv_scales, "source_type": source_type, "config": config}
    return _options.call(_compiler.import_module, os.fsencode(checkpoint), _options.named(options)).decode()


@overload
def run(module: Module, pipeline: str, *, bytecode: Literal[False] = False) -> str: ...
@overload
def run(module: Module, pipeline: str, *, bytecode: Literal[True]) -> bytes: ...
def run(module: Module, pipeline: str, *, bytecode: bool = False) -> str | bytes:
    """Runs a pass pipeline on a module and gives the result as text, or as `bytes` of bytecode.

    `pipeline` is what `kvq-opt --pass-pipeline` takes; the enclosing `builtin.module(…)` may be left out:

        kvq.ir.run(module, "kvq-resolve-scales{chip=sm_90},kvq-generate-kernels,kvq-fold-scales")
    """
    from kvq import _compiler

    result = _compiler.run(_source(module), pipeline, bytecode)
    return result if bytecode else result.decode()


def parse(module: Module) -> str:
    """The module's text as MLIR prints it, once it has been parsed and verified."""
    return run(module, "")


def verify(module: Module) -> None:
    """Raises `kvq.Error` unless the module can be parsed and every operation verifies."""
    run(module, "")


@overload
def translate(module: Module, kind: Literal["llvm-ir", "assembly", "ptx"], chip: str | None = None) -> str: ...
@overload
def translate(module: Module, kind: Literal["cubin", "hsaco", "shared_object"], chip: str | None = None) -> bytes: ...
def translate(module: Module, kind: Kind, chip: str | None = None) -> str | bytes:
    """The code of a module that one of the pipelines `kvq-to-nvvm`, `kvq-to-rocdl` or `kvq-to-host` has lowered.

    It is text for 'llvm-ir', 'assembly' and 'ptx', bytes for 'cubin', 'hsaco' and 'shared_object'. `chip` is needed where the module has no target of
    its own.
    """
    from kvq import _compiler

    code = _compiler.translate(_source(module), kind, chip or "")
    return code if kind in ("cubin", "hsaco", "shared_object") else code.decode()


def pipelines(checkpoint: StrPath, *, targets: list[str] | str | None = None, **options: object) -> list[str]:
    """The passes that `kvq.compile` with these options would run for each target, as `run` and `kvq-opt --pass-pipeline` take them."""
    from kvq import _compiler
    from kvq._compile import _RENAMED

    words = _options.named({"targets": targets, **options}, _RENAMED)
    return _options.call(_compiler.describe_pipelines, os.fsencode(checkpoint), words, renamed=_RENAMED)
