"""utils/check_artefact.py on an artefact made here, with kernels that look each value up: it must pass what is right and find what is not."""

import json
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from conftest import SOURCE

HEADS, SIZE, BLOCK, SCALE = 3, 40, 16, np.float32(0.023)

KERNELS = """
#include <stdint.h>
static const uint8_t encode[65536] = {%(encode)s};
static const uint16_t decode[256] = {%(decode)s};
#define OFFSET(p) (slots[t] / %(block)d * p##_block + slots[t] %% %(block)d * p##_page + h * p##_head + d)
#define ARGUMENTS uint16_t *k, uint16_t *v, uint8_t *kc, uint8_t *vc, int64_t *slots, int64_t tokens, int64_t blocks, int64_t ks, int64_t vs, \\
  int64_t k_block, int64_t k_page, int64_t k_head, int64_t v_block, int64_t v_page, int64_t v_head
#define EACH for (int64_t t = 0; t < tokens; ++t) if (slots[t] >= 0) for (int64_t h = 0; h < %(heads)d; ++h) for (int64_t d = 0; d < %(size)d; ++d)
void store(ARGUMENTS) { EACH {
  kc[OFFSET(k)] = encode[k[t * ks + h * %(size)d + d]];
  vc[OFFSET(v)] = encode[v[t * vs + h * %(size)d + d]];
} }
void load(ARGUMENTS) { EACH {
  k[t * ks + h * %(size)d + d] = decode[kc[OFFSET(k)]];
  v[t * vs + h * %(size)d + d] = decode[vc[OFFSET(v)]];
} %(extra)s }
"""

NAMES = "key value key_cache value_cache slot_mapping num_tokens num_blocks key_stride value_stride".split()
NAMES += [f"{x}_{s}_stride" for x in ("key", "value") for s in ("block", "page", "head")]


def tables():
    """The bf16 -> f8E4M3FN and f8E4M3FN -> bf16 tables of the scale."""
    with np.errstate(all="ignore"):
        x = np.arange(65536, dtype=np.uint16).view(ml_dtypes.bfloat16).astype(np.float32) / SCALE
        encode = np.where(np.isnan(x), x, np.clip(x, -448, 448)).astype(ml_dtypes.float8_e4m3fn).view(np.uint8)
        decode = (np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float32) * SCALE).astype(ml_dtypes.bfloat16)
    return encode, decode.view(np.uint16)


def make(folder, encode, decode, extra=""):
    """Writes and compiles an artefact, and runs the script on it."""
    text = {"encode": ",".join(map(str, encode)), "decode": ",".join(map(str, decode)), "block": BLOCK, "heads": HEADS, "size": SIZE}
    (folder / "host.c").write_text(KERNELS % {**text, "extra": extra})
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", folder / "host.so", folder / "host.c"], check=True)
    arguments = [{"name": name, "type": "ptr" if i < 5 else "i64"} for i, name in enumerate(NAMES)]
    shape = {"num_kv_heads": HEADS, "head_size": SIZE, "block_size": BLOCK, "layout": "nhd", "source_type": "bf16", "cache_type": "f8E4M3FN"}
    scales = {letter: {"value": float(str(SCALE)), "method": "divide"} for letter in "kv"}
    manifest = {
        "targets": [{"target": "host", "backend": "host", "files": {"shared_object": "host.so"}}],
        "kernels": [{"symbol": op, "op": op, "target": "host", **shape, "scales": scales, "args": arguments} for op in ("store", "load")],
        "layers": [
            {
                "name": "layers.0",
                "scales": {"host": {"k": float(str(SCALE)), "v": float(str(SCALE))}},
                "calculate_kv_scales": {"host": False},
                "kernels": {"host": {"store": "store", "load": "load"}},
            }
        ],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return subprocess.run([sys.executable, SOURCE / "utils" / "check_artefact.py", folder], capture_output=True, text=True)


def test_right_kernels_pass(tmp_path):
    result = make(tmp_path, *tables())
    assert result.returncode == 0, result.stderr
    assert "1 layers, 2 host kernels" in result.stdout and "0 differences" in result.stdout


@pytest.mark.parametrize("value", [0x0001, 0x3F80, 0x7F80, 0xFF80, 0x8000])
def test_one_wrong_value_of_store_is_found(tmp_path, value):
    encode, decode = tables()
    encode[value] ^= 1
    result = make(tmp_path, encode, decode)
    assert result.returncode == 1 and "error: " in result.stderr and "store of keys" in result.stderr


@pytest.mark.parametrize("code", [0x00, 0x01, 0x7E, 0xFE])
def test_one_wrong_code_of_load_is_found(tmp_path, code):
    encode, decode = tables()
    decode[code] ^= 1
    result = make(tmp_path, encode, decode)
    assert result.returncode == 1 and "load of keys" in result.stderr


def test_a_stray_write_is_found(tmp_path):
    result = make(tmp_path, *tables(), extra=f"k[{HEADS * SIZE}] ^= 1;")
    assert result.returncode == 1 and "outside the rows" in result.stderr
