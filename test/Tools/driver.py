"""Runs kvqc for the tests of this folder, and makes the files that they give it."""

import json
import os
import resource
import signal
import struct
import subprocess

import numpy as np
from conftest import SOURCE

CHECKPOINTS = SOURCE / "test" / "Inputs" / "checkpoints"
LAYER = "kvq.attention @layers.{n} index {n} geometry <heads = {heads}, kv_heads = {kv_heads}, head_size = {size}>"


def layer(n=0, heads=32, kv_heads=8, size=128, source="bf16", cache="fp8", scales="checkpoint(k = 0.023, v = 0.031)", more=""):
    """One unresolved kvq.attention."""
    text = LAYER.format(n=n, heads=heads, kv_heads=kv_heads, size=size)
    return f"{text}{f' source {source}' if source else ''} cache {cache} {more} {scales}\n"


def model(folder, *layers):
    """The file of a module of layers."""
    path = folder / "model.mlir"
    path.write_text("".join(layers))
    return path


class Run:
    """What a command printed, and its exit status."""

    def __init__(self, program, *arguments, file_limit=None, **options):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

        options |= {"preexec_fn": limit} if file_limit is not None else {}
        command = [str(argument) for argument in (program, *arguments)]
        done = subprocess.run(command, capture_output=True, timeout=120, **options)
        self.status = done.returncode
        self.stdout = done.stdout.decode()
        self.stderr = done.stderr.decode()

    def succeeds(self):
        """The run itself, if it ended well and said nothing but warnings."""
        assert self.status == 0, self.stderr
        assert all(line.startswith("warning: ") for line in self.stderr.splitlines()), self.stderr
        return self

    def fails(self, *words):
        """One error: line alone, with the words; nothing on stdout; status 1."""
        assert self.status == 1, f"status {self.status}\n{self.stdout}{self.stderr}"
        assert self.stdout == ""
        assert self.stderr.startswith("error: ") and self.stderr.endswith("\n") and self.stderr.count("\n") == 1, self.stderr[:2000]
        assert len(self.stderr) < 1000
        for word in words:
            assert str(word) in self.stderr, f"expected '{word}' in\n{self.stderr}"
        return self


def checkpoint(folder, tensors=None, config=None):
    """A small Hugging Face folder; `config` is merged into a Llama's (None removes), `tensors` are (dtype, shape, bytes) by name."""
    folder.mkdir(parents=True, exist_ok=True)
    merged = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 256,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "num_hidden_layers": 1,
        "torch_dtype": "bfloat16",
        "quantization_config": {"quant_method": "fp8", "kv_cache_scheme": "static"},
    } | (config or {})
    (folder / "config.json").write_text(json.dumps({key: value for key, value in merged.items() if value is not None}))
    (folder / "model.safetensors").write_bytes(safetensors(tensors if tensors is not None else scales(0.5, 0.25)))
    return folder


def f32(*values, shape=()):
    """A float32 tensor."""
    return "F32", list(shape), np.array(values, np.float32).tobytes()


def scales(k, v, n=0, **more):
    """The k and v scales of a layer, and `more`."""
    of = {"k": k, "v": v} | more
    return {
        f"model.layers.{n}.self_attn.{kind}_scale": value if isinstance(value, tuple) else f32(value)
        for kind, value in of.items()
        if value is not None
    }


def safetensors(tensors):
    """The bytes of a file."""
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    return with_header(json.dumps(header), data)


def with_header(text, data=b"", length=None):
    """A safetensors file with this header, whose length may be a lie."""
    raw = text.encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def everything_in(folder):
    """The paths below a folder and what their files hold, dot files too."""
    found = {}
    for place, folders, files in os.walk(folder):
        found |= dict.fromkeys((os.path.join(place, name) for name in folders), None)
        for name in files:
            path = os.path.join(place, name)
            found[path] = os.readlink(path) if os.path.islink(path) else open(path, "rb").read()
    return found
