"""kvqc compile and kvqc inspect, in process."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from kvq import _options

StrPath = str | os.PathLike[str]

# Python's names of options that kvqc has another one for.
_RENAMED = {"targets": "target", "jobs": "j"}


@dataclasses.dataclass(frozen=True)
class CompileReport:
    """What a compilation gives beside its output."""

    directory: pathlib.Path
    """The artefact, for `kvq.open`."""
    warnings: list[str]
    """The engine's warnings about the checkpoint, "LAYER: text", each text once."""
    kernels: int
    """The kernels of all targets."""
    kernels_built: int
    """Those of them that no cache had."""


def compile(
    checkpoint: StrPath,
    output: StrPath,
    *,
    targets: Sequence[str] | str | None = None,
    ops: Sequence[str] | str | None = None,
    layout: str | None = None,
    block_size: int | None = None,
    source_type: str | None = None,
    kv_cache_dtype: str | None = None,
    calculate_kv_scales: bool | None = None,
    fnuz: bool | None = None,
    scales: str | None = None,
    per_head_scales: bool | None = None,
    tensor_parallel_size: int | None = None,
    bounds: str | None = None,
    align: Sequence[int] | int | None = None,
    slot_type: str | None = None,
    padding_slot: int | None = None,
    q_scale_constant: float | None = None,
    k_scale_constant: float | None = None,
    v_scale_constant: float | None = None,
    config: StrPath | None = None,
    save_temps: bool | None = None,
    cache_dir: StrPath | None = None,
    no_cache: bool | None = None,
    cache_size_limit: int | None = None,
    jobs: int | None = None,
    **more: Any,
) -> CompileReport:
    """Compiles a checkpoint's scales into cache kernels, as `kvqc compile CHECKPOINT -o OUTPUT` does.

    `checkpoint` is a folder of Hugging Face files, a kv_cache_scales.json or a .mlir file; `output` the folder to write, which may be absent, empty
    or an earlier artefact, and is replaced as a whole. The keywords are kvqc's options by the same names, with its defaults where they are None;
    further options of kvqc go by their names too. Raises `kvq.Error`, and then leaves `output` as it was. The interpreter's lock is free meanwhile,
    and Ctrl-C stops the compilation between kernels.
    """
    from kvq import _compiler

    options = {
        "targets": targets,
        "ops": ops,
        "layout": layout,
        "block_size": block_size,
        "source_type": source_type,
        "kv_cache_dtype": kv_cache_dtype,
        "calculate_kv_scales": calculate_kv_scales,
        "fnuz": fnuz,
        "scales": scales,
        "per_head_scales": per_head_scales,
        "tensor_parallel_size": tensor_parallel_size,
        "bounds": bounds,
        "align": align,
        "slot_type": slot_type,
        "padding_slot": padding_slot,
        "q_scale_constant": q_scale_constant,
        "k_scale_constant": k_scale_constant,
        "v_scale_constant": v_scale_constant,
        "config": config,
        "save_temps": save_temps,
        "cache_dir": cache_dir,
        "no_cache": no_cache,
        "cache_size_limit": cache_size_limit,
        "jobs": jobs,
        **more,
    }
    words = _options.named(options, _RENAMED)
    warnings, kernels, built = _options.call(_compiler.compile, os.fsencode(checkpoint), os.fsencode(output), words, renamed=_RENAMED)
    return CompileReport(pathlib.Path(os.fsdecode(output)), warnings, kernels, built)


def inspect(
    checkpoint: StrPath,
    *,
    target: str | None = None,
    fnuz: bool | None = None,
    kv_cache_dtype: str | None = None,
    calculate_kv_scales: bool | None = None,
    per_head_scales: bool | None = None,
    source_type: str | None = None,
    config: StrPath | None = None,
) -> dict[str, Any]:
    """What a checkpoint says of its KV cache and what an engine makes of it on one target.

    The dict is the JSON of `kvqc inspect --format json`, the schema kvq.inspect/1. A layer whose scales an engine would refuse has "error" in place
    of "resolved"; a fault of a file raises `kvq.Error`.
    """
    from kvq import _compiler

    options = {
        "target": target,
        "fnuz": fnuz,
        "kv_cache_dtype": kv_cache_dtype,
        "calculate_kv_scales": calculate_kv_scales,
        "per_head_scales": per_head_scales,
        "source_type": source_type,
        "config": config,
    }
    return json.loads(_options.call(_compiler.inspect, os.fsencode(checkpoint), _options.named(options)))


def list_targets() -> list[str]:
    """The chips that kvq compiles for, as `kvqc --list-targets` prints them."""
    from kvq import _compiler

    return _compiler.list_targets()
