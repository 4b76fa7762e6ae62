"""kvqc verify on the host's kernels: what it runs, and that one wrong value in one place is seen."""

import re
import subprocess

import pytest
from artefacts import compiled, replace, rewrite
from driver import Run, layer, model
from manifests import manifest_of

# No layouts, or none of these sizes.
WRONG_LAYOUTS = ["zigzag", "(d0, d1, d2) -> (d0, d1)", "(d0, d1, d2) -> (d0, d1, d2 floordiv 0)", "(d0, d1, d2) -> (d0, d1, d2)>"]
WRONG_LAYOUTS += ["(d0)" + "(" * 2000, "key = (d0, d1, d2) -> (d0, d1, d2)", "(d0, d1, d2) -> (d0, d1, d2 * 9223372036854775807 * 4)"]


def test_verify_names_what_it_does_not_run(kvqc, tmp_path):
    out = compiled(kvqc, model(tmp_path, layer()), tmp_path / "out")
    for layout in WRONG_LAYOUTS:
        # The header speaks of layouts too: as if another compiler had made the artefact.
        rewrite(out, lambda manifest, layout=layout: manifest.update(producer="kvq 0.0.1") or manifest["kernels"][0].update(layout=layout))
        lines = Run(kvqc, "verify", out).succeeds().stdout.splitlines()
        assert lines[-2].startswith("1 host kernels run: ")
        assert re.fullmatch(r"not run: store: (the layout '.*' is not known here|its geometry does not fit its layout)", lines[-1])


MAPS = [
    "affine_map<(n, h, d) -> (h, d floordiv 2, n, d mod 2)>",
    "key = affine_map<(n, h, d) -> (h, n, d)>, value = affine_map<(n, h, d) -> (h, d, n)>",
]


def test_verify_runs_layouts_that_are_maps(kvqc, tmp_path):
    ops = ["store", "load", "gather", "convert", "convert_back", "rescale"]
    layers = [layer(n, 8, 4, 64, more=f"layout <{layout}>") for n, layout in enumerate(MAPS)]
    out = compiled(kvqc, model(tmp_path, *layers), tmp_path / "out", "--ops", ",".join(ops))
    lines = Run(kvqc, "verify", out).succeeds().stdout.splitlines()
    assert lines[-1].startswith(f"{len(ops) * len(MAPS)} host kernels run: ")
    # The kernels of one map under the name of the other.
    symbols = [entry["kernels"]["host"]["store"] for entry in manifest_of(out)["layers"]]

    def swap(manifest):
        kernels = {kernel["symbol"]: kernel for kernel in manifest["kernels"]}
        kernels[symbols[0]]["layout"] = kernels[symbols[1]]["layout"]
        manifest["producer"] = "kvq 0.0.1"

    rewrite(out, swap)
    Run(kvqc, "verify", out).fails("host.so", symbols[0])


def test_verify_holds_computed_scales_to_their_constants(kvqc, tmp_path):
    out = compiled(
        kvqc, model(tmp_path, layer()), tmp_path / "out", "--ops", "compute_scales", "--k-scale-constant", "3.5", "--v-scale-constant", "7"
    )
    assert manifest_of(out)["kernels"][0]["scale_constants"] == {"q": 200.0, "k": 3.5, "v": 7.0}
    count = re.search(r"^1 host kernels run: (\d+) values", Run(kvqc, "verify", out).succeeds().stdout, re.MULTILINE)
    assert int(count[1]) == 3 * 65536
    rewrite(out, lambda manifest: manifest["kernels"][0]["scale_constants"].update(v=7.0001))
    Run(kvqc, "verify", out).fails("host.so: kernel 'kvq_compute_scales", "in 'value' raised the scale")


COMPUTE = """
#include <math.h>
#include <stdint.h>
static void raise(const float *x, int64_t tokens, int64_t stride, int64_t size, float constant, float *scale) {
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t i = 0; i < size; ++i) {
      float wanted = fabsf(x[t * stride + i]) / constant;
      if (!(wanted <= *scale) && *scale == *scale) *scale = wanted;
    }
}
void %(symbol)s(const float *query, const float *key, const float *value, int64_t tokens, int64_t query_stride, int64_t key_stride,
    int64_t value_stride, float *q, float *k, float *v) {
  raise(query, tokens, query_stride, 8 * 64, 200.0f, q);
  raise(key, tokens, key_stride, %(size)s, 200.0f, k);
  %(before)s
  raise(value, %(tokens)s, value_stride, 4 * 64, 100.0f, v);
}
"""


@pytest.mark.parametrize(
    "change, words",
    [
        ({}, []),
        ({"size": "4 * 64 - 1"}, ["in 'key' raised the scale"]),
        ({"size": "4 * 64 + 1"}, ["in 'key'", "to nan, expected"]),
        ({"tokens": "tokens + 1"}, ["in 'value'", "to nan, expected"]),
        ({"before": "*v = 0;"}, ["in 'value' raised the scale"]),
        ({"before": "((float *)key)[4 * 64] = 1;"}, ["writes into what it was to read"]),
    ],
    ids=["right", "short", "long", "tokens", "start", "source"],
)
def test_verify_sees_one_wrong_scale(kvqc, tmp_path, change, words):
    """The maxima of rows, in C: right, and wrong in one place."""
    out = compiled(kvqc, model(tmp_path, layer(heads=8, kv_heads=4, size=64, source="f32")), tmp_path / "out", "--ops", "compute_scales")
    symbol = manifest_of(out)["kernels"][0]["symbol"]
    text = {"symbol": symbol, "size": "4 * 64", "tokens": "tokens", "before": ""} | change
    (tmp_path / "host.c").write_text(COMPUTE % text)
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", tmp_path / "host.so", tmp_path / "host.c"], check=True)
    replace(out, "host.so", (tmp_path / "host.so").read_bytes())
    run = Run(kvqc, "verify", out)
    run.fails("host.so", symbol, *words) if words else run.succeeds()


SOURCE = """
#include <stdint.h>
void %(symbol)s(const uint16_t *key, const uint16_t *value, uint16_t *key_cache, uint16_t *value_cache, const int64_t *slots, int64_t num_tokens,
    int64_t num_blocks, int64_t key_stride, int64_t value_stride, int64_t kb, int64_t kp, int64_t kh, int64_t vb, int64_t vp, int64_t vh) {
  for (int64_t t = 0; t < num_tokens; ++t) {
    if (slots[t] < 0) continue;
    int64_t block = slots[t] / %(block)d, row = slots[t] %% %(block)d;
    for (int64_t h = 0; h < %(heads)d; ++h)
      for (int64_t d = 0; d < %(size)d; ++d) {
        uint16_t k = key[t * key_stride + h * %(size)d + d], v = value[t * value_stride + h * %(size)d + d];
        key_cache[block * kb + row * kp + h * kh + d] = %(key)s;
        value_cache[block * vb + row * vp + h * vh + d] = %(value)s;
      }
    %(more)s
  }
}
"""


@pytest.mark.parametrize(
    "change, words",
    [
        ({}, []),
        ({"key": "k == 0x1234 ? 0 : k"}, ["0x1234 gave 0x0, expected 0x1234"]),
        ({"value": "v == 0x7fc1 ? 0x7fc0 : v"}, ["0x7fc1 gave 0x7fc0"]),
        ({"more": "if (t == 4) key_cache[num_blocks * kb - 1] = 0;"}, ["writes outside"]),
        ({"more": "((uint16_t *)key)[key_stride - 1] = 0;"}, ["what it was to read"]),
    ],
    ids=["right", "one-key", "one-nan", "beyond", "source"],
)
def test_verify_sees_one_wrong_value(kvqc, tmp_path, change, words):
    """A store of bits, in C: right, and wrong for one value of 65,536 or in one place."""
    out = compiled(kvqc, model(tmp_path, layer(cache="auto", kv_heads=2, size=64)), tmp_path / "out", "--ops", "store")
    kernel = manifest_of(out)["kernels"][0]
    text = {"symbol": kernel["symbol"], "block": 16, "heads": 2, "size": 64, "key": "k", "value": "v", "more": ""} | change
    (tmp_path / "host.c").write_text(SOURCE % text)
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", tmp_path / "host.so", tmp_path / "host.c"], check=True)
    replace(out, "host.so", (tmp_path / "host.so").read_bytes())
    run = Run(kvqc, "verify", out)
    run.fails("host.so", kernel["symbol"], *words) if words else run.succeeds()
