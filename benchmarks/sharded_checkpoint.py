"""A checkpoint of many large shards for the import to read: real headers, an index and scales, the weights holes in sparse files."""

import json
import pathlib
import random
import struct

# A mixture-of-experts model whose layers are a shard each, of about 4 GB: 24 matrices of 16384 x 10240 bytes and what belongs to them.
HIDDEN, INTERMEDIATE, EXPERTS, HEADS, KV_HEADS, HEAD_SIZE = 16384, 10240, 8, 128, 8, 128
BYTES = {"F8_E4M3": 1, "BF16": 2, "F32": 4}


def tensors_of(layer):
    """(name, dtype, shape) of every tensor of a layer."""
    prefix = f"model.layers.{layer}."
    linears = {
        "self_attn.q_proj": (HEADS * HEAD_SIZE, HIDDEN),
        "self_attn.k_proj": (KV_HEADS * HEAD_SIZE, HIDDEN),
        "self_attn.v_proj": (KV_HEADS * HEAD_SIZE, HIDDEN),
        "self_attn.o_proj": (HIDDEN, HEADS * HEAD_SIZE),
    }
    for expert in range(EXPERTS):
        for name, shape in (("gate_proj", (INTERMEDIATE, HIDDEN)), ("up_proj", (INTERMEDIATE, HIDDEN)), ("down_proj", (HIDDEN, INTERMEDIATE))):
            linears[f"mlp.experts.{expert}.{name}"] = shape
    for name in ("input_layernorm", "post_attention_layernorm"):
        yield f"{prefix}{name}.weight", "BF16", (HIDDEN,)
    yield f"{prefix}mlp.gate.weight", "BF16", (EXPERTS, HIDDEN)
    for name, shape in linears.items():
        yield f"{prefix}{name}.weight", "F8_E4M3", shape
        yield f"{prefix}{name}.weight_scale", "F32", (1,)
        yield f"{prefix}{name}.input_scale", "F32", (1,)
    yield f"{prefix}self_attn.k_scale", "F32", (1,)
    yield f"{prefix}self_attn.v_scale", "F32", (1,)


def write_shard(path, layer, scale):
    """Writes the shard of a layer and returns (the names of its tensors, their bytes)."""
    header, end, places = {}, 0, []
    for name, dtype, shape in tensors_of(layer):
        size = BYTES[dtype]
        for extent in shape:
            size *= extent
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size]}
        if name.endswith(("k_scale", "v_scale")):
            places.append(end)
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    start = 8 + len(text)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(start + end)
        for place in places:
            file.seek(start + place)
            # Of bf16's precision, in which such files keep them.
            file.write(b"\0\0" + struct.pack("<f", scale())[2:])
    return list(header), end


def write_checkpoint(folder, shards):
    """Writes a checkpoint of `shards` shards into `folder`; returns {"shards", "tensors", "bytes"}."""
    folder = pathlib.Path(folder)
    generator = random.Random(1)
    config = {
        "architectures": ["MixtralForCausalLM"],
        "model_type": "mixtral",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_SIZE,
        "num_hidden_layers": shards,
        "num_local_experts": EXPERTS,
        "torch_dtype": "bfloat16",
        "quantization_config": {
            "quant_method": "compressed-tensors",
            "format": "float-quantized",
            "kv_cache_scheme": {"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": False, "symmetric": True},
        },
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    weight_map, total = {}, 0
    for layer in range(shards):
        name = f"model-{layer + 1:05}-of-{shards:05}.safetensors"
        names, size = write_shard(folder / name, layer, lambda: generator.uniform(0.005, 0.05))
        weight_map |= dict.fromkeys(names, name)
        total += size
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
    return {"shards": shards, "tensors": len(weight_map), "bytes": total}
