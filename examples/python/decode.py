#!/usr/bin/env python3
"""An engine's decode loop on an FP8 cache: prefill stores, each step stores and gathers, and attention is plain over what was loaded.

    python decode.py CHECKPOINT [--steps 8] [--target sm_90 --device cuda] [--numpy]

Runs on torch's tensors where torch is installed, else on numpy's arrays; the kernels take either. What comes out is held to the reference: the
codes in the cache and the loaded values to the bit (ml_dtypes), and the attention to that of the unquantised keys and values within what FP8
allows.
"""

import argparse
import tempfile

import kvq
import ml_dtypes
import numpy as np

try:
    import torch
except ImportError:
    torch = None

BLOCK_SIZE, BLOCKS = 16, 32


class Arrays:
    """The few functions that the loop needs of a framework: here numpy's."""

    def __init__(self, device):
        self.random = np.random.default_rng(0)

    def normal(self, *shape):
        return self.random.standard_normal(shape, np.float32).astype(ml_dtypes.bfloat16)

    def zeros(self, *shape, like=ml_dtypes.bfloat16):
        return np.zeros(shape, like)

    def integers(self, values, dtype=np.int64):
        return np.array(values, dtype)

    def numpy(self, array):
        return array

    def attention(self, query, key, value):
        """softmax(q·k) v for one token; heads share keys where there are fewer of them."""
        query, key, value = (rows.astype(np.float32) for rows in (query, key, value))
        key, value = (rows.repeat(query.shape[1] // rows.shape[1], 1) for rows in (key, value))
        scores = np.einsum("qhd,khd->hqk", query, key) / np.sqrt(np.float32(query.shape[2]))
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        return np.einsum("hqk,khd->qhd", weights / weights.sum(-1, keepdims=True), value)


class Tensors:
    """The same of torch."""

    def __init__(self, device):
        self.device = "cpu" if device == "host" else device
        torch.manual_seed(0)

    def normal(self, *shape):
        return torch.randn(shape, dtype=torch.bfloat16, device=self.device)

    def zeros(self, *shape, like=None):
        return torch.zeros(shape, dtype=torch.uint8 if like is np.uint8 else torch.bfloat16, device=self.device)

    def integers(self, values, dtype=np.int64):
        return torch.tensor(np.array(values, dtype), device=self.device)

    def numpy(self, tensor):
        bits = tensor.cpu().contiguous()
        return bits.view(torch.int16).numpy().view(ml_dtypes.bfloat16) if tensor.dtype == torch.bfloat16 else bits.numpy()

    def attention(self, query, key, value):
        query, key, value = (rows.float().transpose(0, 1) for rows in (query, key, value))
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, enable_gqa=True).transpose(0, 1)


def decode(layer, xp, heads, prompt, steps):
    """One layer of one sequence: the attention of each step, and all keys and values as they were."""
    shape = layer.kernel("store")["num_kv_heads"], layer.kernel("store")["head_size"]
    key_cache, value_cache = xp.zeros(2, BLOCKS, BLOCK_SIZE, *shape, like=np.uint8)
    # The engine's table: which block holds the sequence's n-th page.
    pages = np.random.default_rng(1).permutation(BLOCKS).astype(np.int32)
    slots = [int(pages[token // BLOCK_SIZE]) * BLOCK_SIZE + token % BLOCK_SIZE for token in range(prompt + steps)]
    table = xp.integers(pages[None], np.int32)
    keys, values = xp.normal(prompt + steps, *shape), xp.normal(prompt + steps, *shape)

    layer.store(keys[:prompt], values[:prompt], key_cache, value_cache, xp.integers(slots[:prompt]))
    outputs = []
    for length in range(prompt + 1, prompt + steps + 1):
        new = slice(length - 1, length)
        layer.store(keys[new], values[new], key_cache, value_cache, xp.integers(slots[new]))
        key, value = xp.zeros(length, *shape), xp.zeros(length, *shape)
        layer.gather(key, value, key_cache, value_cache, table, xp.integers([0, length], np.int32))
        query = xp.normal(1, heads, shape[1])
        outputs.append((xp.attention(query, key, value), xp.attention(query, keys[:length], values[:length])))
    return outputs, (keys, values), (key, value), (key_cache, value_cache), np.array(slots)


def check(layer, xp, outputs, rows, loaded, caches, slots):
    """Codes and loaded values to the bit, attention within FP8's error; the largest error."""
    formats = {"f8E4M3FN": ml_dtypes.float8_e4m3fn, "f8E4M3FNUZ": ml_dtypes.float8_e4m3fnuz, "f8E5M2": ml_dtypes.float8_e5m2}
    dtype = formats[layer.kernel("store")["cache_type"]]
    largest = np.float32(ml_dtypes.finfo(dtype).max)
    for name, wide, back, cache in zip("kv", rows, loaded, caches, strict=True):
        scale = np.float32(layer.scales[name])
        codes = xp.numpy(cache)[slots // BLOCK_SIZE, slots % BLOCK_SIZE].view(dtype)
        expected = np.clip(xp.numpy(wide).astype(np.float32) / scale, -largest, largest).astype(dtype)
        assert codes.tobytes() == expected.tobytes(), f"{layer.name}: {name} is not stored as the reference has it"
        expected = (codes.astype(np.float32) * scale).astype(ml_dtypes.bfloat16)
        assert xp.numpy(back).tobytes() == expected.tobytes(), f"{layer.name}: {name} is not loaded as the reference has it"
    error = max(float(abs(ours - exact).max()) for ours, exact in outputs)
    # Each value has a relative error of 2^-4; weights sum to one, and scores move a little too.
    limit = 0.25 * max(float(abs(exact).max()) for _, exact in outputs)
    assert error < limit, f"{layer.name}: the attention is off by {error}, more than {limit}"
    return error


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="a folder of Hugging Face files")
    parser.add_argument("--steps", type=int, default=8, help="tokens to decode (default: %(default)s)")
    parser.add_argument("--device", default="host", help="host, cuda, or cuda:1 (default: %(default)s)")
    parser.add_argument("--target", default="host", help="the chip to compile for (default: %(default)s)")
    parser.add_argument("--numpy", action="store_true", help="use numpy although torch is installed")
    options = parser.parse_args()
    uses_torch = torch and not options.numpy
    with tempfile.TemporaryDirectory() as folder:
        kvq.compile(options.checkpoint, f"{folder}/kernels", targets=[options.target], ops=["store", "gather"])
        artefact = kvq.open(f"{folder}/kernels", options.device)
    for layer in artefact.layers:
        xp = (Tensors if uses_torch else Arrays)(options.device)
        heads = 2 * layer.kernel("store")["num_kv_heads"]
        error = check(layer, xp, *decode(layer, xp, heads, prompt=37, steps=options.steps))
        print(f"{layer.name}: {options.steps} steps on {artefact.device} with {'torch' if uses_torch else 'numpy'}, attention within {error:.3f}")


if __name__ == "__main__":
    main()
