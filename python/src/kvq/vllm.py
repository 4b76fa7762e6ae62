"""What goes in the place of vLLM's functions that write the cache, bound to a layer.

    reshape_and_cache_flash = kvq.vllm.bind(artefact.layer("model.layers.0.self_attn"))
    reshape_and_cache_flash(key, value, key_cache, value_cache, slot_mapping, "fp8", layer._k_scale, layer._v_scale)

The arguments are vLLM's. The number of tokens is that of `slot_mapping`; `key` and `value` may be padded. The scales of the kernel are its own:
those that are passed are compared with them, and other ones raise `kvq.Error`, or go to the kernel that takes them where the artefact was compiled
with scales="both". That costs a copy from the device, so a tensor is compared when it
is first seen, and again when torch has counted a change of it; tensors made in inference mode have no such count, and one that is changed in place
is not seen again. A CUDA graph cannot copy: call once before the capture.
"""

from __future__ import annotations

import struct
import sys
from typing import Any

from kvq._artefact import Layer, Stream, Tensor
from kvq._error import Error

__all__ = ["ConcatAndCacheMla", "ReshapeAndCacheFlash", "bind"]


def _float32(value: float) -> float:
    return struct.unpack("f", struct.pack("f", value))[0]


def _numbers(scale: Any) -> list[float]:
    """The values of a number, an array or a tensor, as float32."""
    for name in ("detach", "float", "flatten"):
        scale = getattr(scale, name)() if hasattr(scale, name) else scale
    values = scale.tolist() if hasattr(scale, "tolist") else scale
    return [_float32(value) for value in (values if isinstance(values, list) else [values])]


class _Scale:
    """A scale that is folded into a kernel, and the tensors that have been found to hold it, or another one."""

    MOST = 64

    def __init__(self, layer: Layer, name: str, folded: list[float]) -> None:
        self.layer, self.name, self.folded = layer, name, folded
        self.seen: dict[tuple[int, int, int], str] = {}

    def find_fault(self, given: Any) -> str:
        """What is wrong unless `given`, of one number or one for each head, is the folded scale; else nothing."""
        key = None
        if hasattr(given, "data_ptr"):
            try:
                version = given._version
            except RuntimeError:
                version = -1
            key = (given.data_ptr(), version, given.numel())
            if key in self.seen:
                return self.seen[key]
            if given.is_cuda and sys.modules["torch"].cuda.is_current_stream_capturing():
                raise Error(f"layer '{self.layer.name}': expected '{self.name}' to have been compared before the capture; call once without it")
        values = _numbers(given)
        expected = self.folded if len(self.folded) == len(values) else self.folded * len(values)
        fault = ""
        if len(expected) != len(values) or values != expected:
            wrong = next((value for value, own in zip(values, expected, strict=False) if value != own), None)
            got = f"{len(values)} numbers" if wrong is None else repr(wrong)
            fault = f"expected '{self.name}' to be {self.folded[0]!r}, which the kernel was compiled with, but got {got}"
        if key:
            if len(self.seen) >= self.MOST:
                self.seen.clear()
            self.seen[key] = fault
        return fault


class _Store:
    """The checks that both functions share."""

    def __init__(self, layer: Layer) -> None:
        kernel = layer.kernel("store")
        self.layer = layer
        self._store = layer.store
        self._kernel = kernel
        copies = not kernel["scales"]
        self._dtypes = ("auto",) if copies else ("fp8_e5m2",) if "E5M2" in kernel["cache_type"] else ("fp8", "fp8_e4m3")
        self._folded = {name: _Scale(layer, f"{name}_scale", values) for name, (_, values) in kernel["scales"].items() if values}
        self._arguments = [name for name, (_, values) in kernel["scales"].items() if not values]
        self._may_pass = kernel["may_take_scales"]

    def _check(self, kv_cache_dtype: str, **scales: Any) -> dict[str, Any]:
        """Compares what is folded; gives what the kernel takes as arguments."""
        if kv_cache_dtype not in self._dtypes:
            words = " or ".join(f"'{word}'" for word in self._dtypes)
            raise Error(f"layer '{self.layer.name}': expected 'kv_cache_dtype' to be {words}, as compiled, but got '{kv_cache_dtype}'")
        faults = [fault for name, folded in self._folded.items() if (fault := folded.find_fault(scales[name]))]
        if faults and not self._may_pass:
            raise Error(f"layer '{self.layer.name}': {faults[0]}")
        return {f"{name}_scale": scales[name] for name in (self._folded if faults else self._arguments)}


class ReshapeAndCacheFlash(_Store):
    """vLLM's `reshape_and_cache_flash` for one layer. Caches are [blocks, block_size, heads, size], whatever the layer's layout."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        if self._kernel["layout"] not in ("nhd", "hnd"):
            raise Error(f"layer '{layer.name}': expected the layout 'nhd' or 'hnd', but got '{self._kernel['layout']}'")
        self._swaps = self._kernel["layout"] == "hnd"

    def __call__(
        self,
        key: Tensor,
        value: Tensor,
        key_cache: Tensor,
        value_cache: Tensor,
        slot_mapping: Tensor,
        kv_cache_dtype: str,
        k_scale: Tensor,
        v_scale: Tensor,
        *,
        stream: Stream = None,
    ) -> None:
        named = self._check(kv_cache_dtype, k=k_scale, v=v_scale)
        if self._swaps:
            key_cache, value_cache = key_cache.swapaxes(1, 2), value_cache.swapaxes(1, 2)
        self._store(key, value, key_cache, value_cache, slot_mapping, stream, **named)


class ConcatAndCacheMla(_Store):
    """vLLM's `concat_and_cache_mla` for one layer."""

    def __call__(
        self, kv_c: Tensor, k_pe: Tensor, kv_cache: Tensor, slot_mapping: Tensor, kv_cache_dtype: str, scale: Tensor, *, stream: Stream = None
    ) -> None:
        named = self._check(kv_cache_dtype, k=scale)
        self._store(kv_c, k_pe, kv_cache, slot_mapping, stream, **named)


def bind(layer: Layer) -> ReshapeAndCacheFlash | ConcatAndCacheMla:
    """The function that stores into the cache of `layer` with vLLM's signature."""
    return (ConcatAndCacheMla if layer.kernel("store")["layout"].startswith("mla") else ReshapeAndCacheFlash)(layer)
