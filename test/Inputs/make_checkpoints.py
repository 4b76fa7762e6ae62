#!/usr/bin/env python3
# Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Write small checkpoints in the formats that real tools write.

    make_checkpoints.py OUT [NAME...]

Each is a folder OUT/NAME (legacy-json a file in one) with the names, dtypes and shapes of the format; weights are stand-ins
of a few bytes, geometry and scales are of a real size. The folders in checkpoints/ beside this script were written by it;
those marked 'extra' are made on demand.
"""

import argparse
import json
import pathlib

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

BF16 = ml_dtypes.bfloat16
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "num_hidden_layers": 4,
    "torch_dtype": "bfloat16",
}
FP8_SCHEME = {"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": False, "symmetric": True}
K = [0.0234375, 0.021484375, 0.0299072265625, 0.034912109375]
V = [0.03125, 0.0277099609375, 0.0162353515625, 0.04150390625]
# The same as float32 tools would write them, which bfloat16 does not hold.
K32 = [0.023, 0.0215, 0.0299, 0.0349]
V32 = [0.031, 0.0277, 0.0162, 0.0415]


def attention(layer, place="model.layers.{}.self_attn"):
    return place.format(layer)


def scalar(value, dtype=np.float32):
    return np.array(value, dtype=dtype)


def one(value, dtype=BF16):
    return np.array([value], dtype=dtype)


def stand_ins(layers, place="model.layers.{}.self_attn"):
    """Weights that make the folder look like a model."""
    tensors = {f"{attention(n, place)}.k_proj.weight": np.zeros((2, 2), BF16) for n in range(layers)}
    tensors.update({f"{attention(n, place)}.k_proj.weight_scale": one(0.5) for n in range(layers)})
    return tensors


def write(folder, config, tensors, shards=1, **files):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names, weight_map = sorted(tensors), {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = {name: tensors[name] for name in names[shard::shards]}
        weight_map.update(dict.fromkeys(part, file))
        save_file(part, folder / file, metadata={"format": "pt"})
    index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def llama(folder, quantization, scales, shards=1, config=None, **files):
    config = dict(LLAMA, **(config or {}))
    if quantization:
        config["quantization_config"] = quantization
    tensors = stand_ins(config["num_hidden_layers"])
    for layer in range(config["num_hidden_layers"]):
        tensors.update({attention(layer) + name: value for name, value in scales(layer).items()})
    write(folder, config, tensors, shards, **files)


COMPRESSED_TENSORS = {"quant_method": "compressed-tensors", "format": "float-quantized", "kv_cache_scheme": FP8_SCHEME}


def compressed_tensors(folder):
    llama(folder, COMPRESSED_TENSORS, lambda n: {".k_scale": one(K[n]), ".v_scale": one(V[n])})


def compressed_tensors_attention(folder):
    """extra: the attention quantised too"""
    llama(
        folder,
        COMPRESSED_TENSORS,
        lambda n: {
            ".q_scale": one(0.0625),
            ".k_scale": one(K[n]),
            ".v_scale": one(V[n]),
            **{f".{kind}_zero_point": np.zeros(1, ml_dtypes.float8_e4m3fn) for kind in "qkv"},
        },
    )


def compressed_tensors_heads(folder):
    """extra: one scale per head"""
    scheme = dict(FP8_SCHEME, strategy="attn_head")
    llama(
        folder,
        dict(COMPRESSED_TENSORS, kv_cache_scheme=scheme),
        lambda n: {f".{kind}_scale": np.linspace(0.02, 0.04, 8).astype(BF16).reshape(8, 1, 1) for kind in "kv"},
    )


def modelopt(folder):
    quantization = {
        "quant_method": "modelopt",
        "quant_algo": "FP8",
        "producer": {"name": "modelopt", "version": "0.47.0"},
        "kv_cache_scheme": {"dynamic": False, "num_bits": 8, "type": "float"},
    }
    quant_config = {
        "producer": {"name": "modelopt", "version": "0.47.0"},
        "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]},
    }
    llama(folder, quantization, lambda n: {".k_proj.k_scale": scalar(K32[n]), ".v_proj.v_scale": scalar(V32[n])}, hf_quant_config=quant_config)


def fp8(folder):
    llama(
        folder,
        {"quant_method": "fp8", "activation_scheme": "static", "kv_cache_scheme": "static"},
        lambda n: {".k_scale": scalar(K32[n]), ".v_scale": scalar(V32[n])},
    )


def fp8_kv(folder):
    llama(folder, {"quant_method": "fp8", "activation_scheme": "static"}, lambda n: {".kv_scale": scalar(max(K32[n], V32[n]))})


def engine(folder):
    llama(
        folder,
        {"quant_method": "fp8", "kv_cache_scheme": "static"},
        lambda n: {
            ".attn.q_scale": scalar(0.0625),
            ".attn.k_scale": scalar(K[n]),
            ".attn.v_scale": scalar(V[n]),
            ".attn.prob_scale": scalar(0.00390625),
        },
    )


def sharded(folder):
    llama(folder, COMPRESSED_TENSORS, lambda n: {".k_scale": one(K[n]), ".v_scale": one(V[n])}, shards=3)


def no_scales(folder):
    llama(folder, None, lambda n: {})


def latent(folder):
    config = {
        "architectures": ["DeepseekV3ForCausalLM"],
        "model_type": "deepseek_v3",
        "hidden_size": 7168,
        "num_attention_heads": 128,
        "num_key_value_heads": 128,
        "kv_lora_rank": 512,
        "qk_rope_head_dim": 64,
        "qk_nope_head_dim": 128,
        "v_head_dim": 128,
        "num_hidden_layers": 3,
        "num_nextn_predict_layers": 1,
        "torch_dtype": "bfloat16",
        "quantization_config": {"quant_method": "fp8", "kv_cache_scheme": "static"},
    }
    tensors = stand_ins(3)
    tensors.update({attention(n) + ".k_proj.k_scale": scalar(K[n]) for n in range(3)})
    write(folder, config, tensors)


def gemma3(folder):
    """extra: a multi-modal model whose text_config leaves heads to the class"""
    place = "language_model.model.layers.{}.self_attn"
    config = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "torch_dtype": "bfloat16",
        "text_config": {"model_type": "gemma3_text", "hidden_size": 2560, "num_hidden_layers": 6},
        "vision_config": {"model_type": "siglip_vision_model", "num_attention_heads": 16, "num_hidden_layers": 2},
        "quantization_config": COMPRESSED_TENSORS,
    }
    tensors = stand_ins(6, place)
    tensors["vision_tower.vision_model.encoder.layers.0.self_attn.k_proj.weight"] = np.zeros((2, 2), BF16)
    for layer in range(6):
        tensors.update({f"{attention(layer, place)}.{kind}_scale": one(0.03125) for kind in "kv"})
    write(folder, config, tensors)


def legacy_json(folder):
    folder.mkdir(parents=True, exist_ok=True)
    scales = {
        "model_type": "llama",
        "kv_cache": {
            "dtype": "float8_e4m3fn",
            "scaling_factor": {
                "0": {str(n): k for n, k in enumerate([0.0230364128947258, 0.01979283057153225, 0.0241350457072258, 0.0308314748108387])}
            },
        },
    }
    (folder / "kv_cache_scales.json").write_text(json.dumps(scales, indent=2) + "\n")
    (folder / "config.json").write_text(json.dumps(LLAMA, indent=2) + "\n")


CHECKPOINTS = {
    "llama-ct": compressed_tensors,
    "llama-modelopt": modelopt,
    "llama-fp8": fp8,
    "llama-fp8-kv": fp8_kv,
    "llama-engine": engine,
    "llama-sharded": sharded,
    "llama-noscales": no_scales,
    "deepseek-mla": latent,
    "legacy-json": legacy_json,
    "llama-ct-attention": compressed_tensors_attention,
    "llama-ct-heads": compressed_tensors_heads,
    "gemma3": gemma3,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("names", nargs="*", choices=[[], *CHECKPOINTS], help="default: all that are no extras")
    arguments = parser.parse_args()
    committed = [name for name, make in CHECKPOINTS.items() if not (make.__doc__ or "").startswith("extra")]
    for name in arguments.names or committed:
        CHECKPOINTS[name](arguments.out / name)


if __name__ == "__main__":
    main()
