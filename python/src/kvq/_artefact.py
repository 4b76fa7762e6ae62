"""Artefacts: what `kvq.compile` wrote, loaded for a device and launched on tensors."""

from __future__ import annotations

import os
import re
from typing import Any, NoReturn

from kvq import _runtime
from kvq._error import Error

StrPath = str | os.PathLike[str]
# Whatever speaks DLPack: arrays and tensors of torch, cupy, jax, numpy.
Tensor = Any
# None, an address, or a stream of torch, cupy or `__cuda_stream__`.
Stream = Any


def _device(device) -> tuple[int, int]:
    """The kind and the number of a device as users name it."""
    if device is None:
        return _runtime.AUTO, _runtime.CURRENT_DEVICE
    kinds = {"host": _runtime.HOST, "cpu": _runtime.HOST, "cuda": _runtime.CUDA, "hip": _runtime.HIP, "rocm": _runtime.HIP}
    match = re.fullmatch(r"([a-z]+)(?::(\d+))?", str(device))
    if not match or match[1] not in kinds:
        raise Error(f"expected 'device' to be None, 'host', 'cpu', 'cuda', 'hip' or one of them with a number, as 'cuda:1', but got '{device}'")
    kind = kinds[match[1]]
    torch_version = getattr(type(device), "__module__", "") == "torch" and __import__("torch").version
    if kind == _runtime.CUDA and torch_version and getattr(torch_version, "hip", None):
        # torch calls AMD's devices by NVIDIA's name.
        kind = _runtime.HIP
    if kind == _runtime.HOST:
        return kind, 0 if match[2] is None else int(match[2])
    return kind, _runtime.CURRENT_DEVICE if match[2] is None else int(match[2])


def open(directory: StrPath, device: Any = None, *, allow_ptx: bool = False, target: str | None = None) -> Artefact:
    """Opens an artefact and loads its code for one device.

    Schema, paths and hashes are checked, and the bytes that were hashed are those that are loaded. `device` is 'host', 'cuda', 'hip', one of the
    latter with a number ('cuda:1'), or a torch.device; None takes a GPU that this machine has and the directory has code for, or else the host.
    `allow_ptx` lets the driver compile PTX where no cubin fits; `target` takes that target of the directory or none. Raises `kvq.Error`.
    """
    kind, ordinal = _device(device)
    return Artefact(_runtime.open(os.fsencode(directory), kind, ordinal, allow_ptx, target or ""))


class Artefact:
    """An opened artefact. Its code stays loaded as long as this, a layer or an operation of it lives."""

    __slots__ = ("_by_name", "_handle", "description", "layers")

    def __init__(self, handle: _runtime.Artefact) -> None:
        self._handle = handle
        self.description: dict[str, Any] = handle.description
        """What was chosen: target, backend, file, cache_type, fnuz, device_chip, device_name and so on."""
        self.layers: list[Layer] = [Layer(handle, **entry) for entry in handle.layers]
        """The layers that own a cache, ordered by index and name."""
        self._by_name = {layer.name: layer for layer in self.layers}

    @property
    def target(self) -> str:
        """The target of the directory that was loaded, such as 'sm_90'."""
        return self.description["target"]

    @property
    def device(self) -> str:
        """Where tensors have to be: 'cpu', 'cuda:0', 'rocm:0'."""
        kind = self.description["device_kind"]
        if kind == _runtime.HOST:
            return "cpu"
        return f"{'cuda' if kind == _runtime.CUDA else 'rocm'}:{self.description['ordinal']}"

    def layer(self, name: str) -> Layer:
        """The layer called `name`, such as 'model.layers.0.self_attn'."""
        try:
            return self._by_name[name]
        except (KeyError, TypeError):
            known = ", ".join(f"'{layer.name}'" for layer in self.layers[:4]) + (", …" if len(self.layers) > 4 else "")
            raise Error(f"expected one of {len(self.layers)} layers ({known}), but got '{name}'") from None

    def __repr__(self) -> str:
        return f"<kvq.Artefact of {len(self.layers)} layers for '{self.target}' on '{self.device}'>"


class Layer:
    """One layer's operations.

    Each is a callable that checks its tensors (shape, type, strides, device; what is wrong raises `kvq.Error`, whose text names the argument), and
    launches the kernel without copying, allocating or synchronising. `T` is the number of tokens, `H` that of the KV heads of a rank, `D` the head
    size. Caches have the shape of their layout, `[blocks, block_size, H, D]` for nhd and `[blocks, H, block_size, D]` for hnd, as uint8 or a float8
    type; their strides are the tensor's own, so the halves of a packed cache are taken as they are. Keys and values may have more than T rows, for
    padding. An MLA layer's operations take `kv_c, k_pe` in place of `key, value` and `kv_cache` in place of `key_cache, value_cache`.

    `stream` is None for the stream on which the tensors' framework works, an address, or a stream object. Kernels with `bounds` 'count' take
    `out_of_range`, one uint64 or int64 that they add to; those whose scales are arguments take `k_scale` and `v_scale`, one float32 each, and of
    artefacts compiled with scales="both" a call with the scales takes the kernel that reads them, one without them the folded kernel. Tensors have to
    live until the kernel is done, as for any other work on the stream; the host's kernels are done when the call returns.
    """

    def __init__(self, handle: _runtime.Artefact, name: str, index: int, scales: dict[str, float], calculate_kv_scales: bool, ops: list[str]) -> None:
        self.name = name
        self.index = index
        """Its index in the model."""
        self.scales = scales
        """The resolved scales by 'q', 'k', 'v', 'prob'."""
        self.calculate_kv_scales = calculate_kv_scales
        self.ops = tuple(ops)
        """The operations that it has kernels for."""
        self._operations: dict[str, _runtime.Operation] = {}
        for op in ops:
            operation = handle.operation(name, op)
            self._operations[op] = operation
            setattr(self, op, operation.function)

    def _missing(self, op: str) -> NoReturn:
        known = ", ".join(f"'{name}'" for name in self.ops)
        raise Error(f"layer '{self.name}': expected an operation among {known}, but got '{op}'; compile with it in 'ops'")

    def kernel(self, op: str) -> dict[str, Any]:
        """The kernel of an operation: symbol, layout, source_type, cache_type, num_kv_heads, head_size, block_size, of each scale the method with
        its folded numbers, none for an argument, and `may_take_scales`, whether a call may pass others in the place of the folded ones."""
        if op not in self._operations:
            self._missing(op)
        return self._operations[op].description

    # The operations that a layer has are attributes of the instance, which hide these methods.

    def store(
        self,
        key: Tensor,
        value: Tensor,
        key_cache: Tensor,
        value_cache: Tensor,
        slot_mapping: Tensor,
        stream: Stream = None,
        *,
        out_of_range: Tensor = None,
        k_scale: Tensor = None,
        v_scale: Tensor = None,
    ) -> None:
        """Quantises `key` and `value` [T, H, D] into the rows of the caches that `slot_mapping` [T] names; a negative slot is skipped."""
        self._missing("store")

    def load(
        self,
        key: Tensor,
        value: Tensor,
        key_cache: Tensor,
        value_cache: Tensor,
        slot_mapping: Tensor,
        stream: Stream = None,
        *,
        out_of_range: Tensor = None,
        k_scale: Tensor = None,
        v_scale: Tensor = None,
    ) -> None:
        """Dequantises the rows that `slot_mapping` [T] names into `key` and `value` [T, H, D]; a skipped slot leaves its row untouched."""
        self._missing("load")

    def gather(
        self,
        key: Tensor,
        value: Tensor,
        key_cache: Tensor,
        value_cache: Tensor,
        block_table: Tensor,
        cu_seq_lens: Tensor,
        seq_starts: Tensor = None,
        stream: Stream = None,
        *,
        num_tokens: int | None = None,
        out_of_range: Tensor = None,
        k_scale: Tensor = None,
        v_scale: Tensor = None,
    ) -> None:
        """Dequantises whole sequences into consecutive rows of `key` and `value` [T, H, D].

        `block_table` [batch, pages], `cu_seq_lens` [batch + 1] and `seq_starts` [batch] or None, the token of its sequence that each begins at, are
        int32. `num_tokens` is the number of rows by default; rows beyond the last sequence are left untouched.
        """
        self._missing("gather")

    def convert(
        self,
        from_key_cache: Tensor,
        from_value_cache: Tensor,
        key_cache: Tensor,
        value_cache: Tensor,
        stream: Stream = None,
        *,
        k_scale: Tensor = None,
        v_scale: Tensor = None,
    ) -> None:
        """Quantises whole caches of the source type into caches of FP8."""
        self._missing("convert")

    def convert_back(
        self,
        from_key_cache: Tensor,
        from_value_cache: Tensor,
        key_cache: Tensor,
        value_cache: Tensor,
        stream: Stream = None,
        *,
        k_scale: Tensor = None,
        v_scale: Tensor = None,
    ) -> None:
        """Dequantises whole caches of FP8 into caches of the source type."""
        self._missing("convert_back")

    def transcode_to_ocp(
        self, from_key_cache: Tensor, from_value_cache: Tensor, key_cache: Tensor, value_cache: Tensor, stream: Stream = None
    ) -> None:
        """Changes whole caches from the fnuz form of their format to the OCP form."""
        self._missing("transcode_to_ocp")

    def transcode_to_fnuz(
        self, from_key_cache: Tensor, from_value_cache: Tensor, key_cache: Tensor, value_cache: Tensor, stream: Stream = None
    ) -> None:
        """Changes whole caches from the OCP form of their format to the fnuz form."""
        self._missing("transcode_to_fnuz")

    def rescale(
        self,
        key_cache: Tensor,
        value_cache: Tensor,
        stream: Stream = None,
        *,
        from_k_scale: Tensor,
        from_v_scale: Tensor,
        k_scale: Tensor = None,
        v_scale: Tensor = None,
    ) -> None:
        """Quantises whole caches anew, in place, from the scales `from_k_scale` and `from_v_scale` to the layer's own."""
        self._missing("rescale")

    def quantize_query(
        self, query: Tensor, query_fp8: Tensor, stream: Stream = None, *, num_tokens: int | None = None, q_scale: Tensor = None
    ) -> None:
        """Quantises queries [T, query heads, D] by the layer's q scale."""
        self._missing("quantize_query")

    def quantize_prob(self, prob: Tensor, prob_fp8: Tensor, stream: Stream = None, *, prob_scale: Tensor = None) -> None:
        """Quantises attention probabilities [rows, columns] by the layer's prob scale."""
        self._missing("quantize_prob")

    def compute_scales(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        q_scale: Tensor,
        k_scale: Tensor,
        v_scale: Tensor,
        stream: Stream = None,
        *,
        num_tokens: int | None = None,
    ) -> None:
        """Raises the three scales, one float32 each, to what the tensors' largest values need, as engines do that calculate scales."""
        self._missing("compute_scales")

    def __repr__(self) -> str:
        return f"<kvq.Layer '{self.name}' with {', '.join(self.ops)}>"
