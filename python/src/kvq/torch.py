"""kvq's operations as custom operators of torch, for torch.compile and CUDA graphs.

    kvq.torch.bind(kvq.open("kernels", "cuda"))
    torch.ops.kvq.store(key, value, key_cache, value_cache, slot_mapping, "model.layers.0.self_attn")

An operator takes the tensors of the operation of `kvq.Layer` with the same name, then the layer's name, then by name what the operation takes by
name; `store_mla` and so on are those of MLA layers. They declare what they write and have implementations for fake tensors, so that a compiled
graph holds each as one node. A launch allocates nothing and does not synchronise: it may be captured. Importing this module imports torch.
"""

from __future__ import annotations

import torch

from kvq._artefact import Artefact, Layer
from kvq._error import Error

__all__ = ["bind", "bound", "unbind"]

# The tensors of each operation: `!` is written, `?` may be None; behind `|` what is given by name alone.
_COUNTED = "out_of_range!? k_scale? v_scale?"
_CACHES = "from_key_cache from_value_cache key_cache! value_cache!"
_LATENT = "from_kv_cache kv_cache!"
_OPERATIONS = {
    "store": f"key value key_cache! value_cache! slot_mapping | {_COUNTED}",
    "load": f"key! value! key_cache value_cache slot_mapping | {_COUNTED}",
    "gather": f"key! value! key_cache value_cache block_table cu_seq_lens seq_starts? | {_COUNTED}",
    "convert": f"{_CACHES} | k_scale? v_scale?",
    "convert_back": f"{_CACHES} | k_scale? v_scale?",
    "transcode_to_ocp": f"{_CACHES} |",
    "transcode_to_fnuz": f"{_CACHES} |",
    "rescale": "key_cache! value_cache! | from_k_scale? from_v_scale? k_scale? v_scale?",
    "compute_scales": "query key value q_scale! k_scale! v_scale! |",
    "quantize_query": "query query_fp8! | q_scale?",
    "quantize_prob": "prob prob_fp8! | prob_scale?",
    "store_mla": "kv_c k_pe kv_cache! slot_mapping | out_of_range!? k_scale?",
    "load_mla": "kv_c! k_pe! kv_cache slot_mapping | out_of_range!? k_scale?",
    "gather_mla": "kv_c! k_pe! kv_cache block_table cu_seq_lens seq_starts? | out_of_range!? k_scale?",
    "convert_mla": f"{_LATENT} | k_scale?",
    "convert_back_mla": f"{_LATENT} | k_scale?",
    "transcode_to_ocp_mla": f"{_LATENT} |",
    "transcode_to_fnuz_mla": f"{_LATENT} |",
    "rescale_mla": "kv_cache! | from_k_scale? k_scale?",
    "compute_scales_mla": "query kv_c k_pe q_scale! k_scale! v_scale! |",
}

_layers: dict[str, Layer] = {}


def bind(artefact: Artefact, prefix: str = "") -> None:
    """Makes the layers of an artefact known to the operators as `prefix` + their name. A name that is taken by another layer raises `kvq.Error`."""
    for layer in artefact.layers:
        if _layers.get(prefix + layer.name, layer) is not layer:
            raise Error(f"expected a name that is not bound yet, but got '{prefix + layer.name}'; give another 'prefix', or unbind the other")
    for layer in artefact.layers:
        _layers[prefix + layer.name] = layer


def unbind(artefact: Artefact) -> None:
    """Forgets the layers of an artefact."""
    ours = set(map(id, artefact.layers))
    for name in [name for name, layer in _layers.items() if id(layer) in ours]:
        del _layers[name]


def bound(name: str) -> Layer:
    """The layer that the operators know by `name`."""
    try:
        return _layers[name]
    except KeyError:
        raise Error(f"expected a layer that is bound, but got '{name}'; see kvq.torch.bind") from None


def _schema(name: str, tensors: str) -> str:
    """The schema of an operator in torch's words."""
    letters = iter("abcdefgh")

    def declare(word):
        plain = word.rstrip("!?")
        written = f"({next(letters)}!)" if "!" in word else ""
        return f"Tensor{written}? {plain}=None" if "?" in word else f"Tensor{written} {plain}"

    positional, named = (part.split() for part in tensors.split("|"))
    # Behind the layer's name, which has no default, nothing positional has one either.
    first = [declare(word).removesuffix("=None") for word in positional]
    last = ["*", *map(declare, named)] if named else []
    return f"{name}({', '.join([*first, 'str layer', *last])}) -> ()"


def _define(name: str, tensors: str) -> None:
    op = name.removesuffix("_mla")

    def launch(*arguments, **named):
        *given, layer = arguments
        getattr(bound(layer), op)(*given, **{key: value for key, value in named.items() if value is not None})

    _library.define(_schema(name, tensors))
    for device in ("CPU", "CUDA"):
        _library.impl(name, launch, device)
    torch.library.register_fake(f"kvq::{name}", lambda *arguments, **named: None, lib=_library)


_library = torch.library.Library("kvq", "DEF")
for _name, _tensors in _OPERATIONS.items():
    _define(_name, _tensors)
