#!/usr/bin/env python3
"""Writes docs/reference/coverage.md: what the compiler takes of the combinations that the tests execute, by asking kvq-opt, and the chip table."""

import argparse
import itertools
import pathlib
import re
import subprocess
import sys

from make_chip_docs import FORMATS, natural, records

SOURCE = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SOURCE / "test" / "Execution"))
from cases import GEOMETRIES, MAPS, OPS, ROW_OPS  # noqa: E402

DTYPES = {"fp8": "fp8", "fp8_e5m2": "e5m2", "auto": "auto"}
SOURCES = ["bf16", "f16", "f32"]

HEAD = """\
<!-- Made by utils/make_coverage_docs.py from test/Execution/cases.py, kvq-opt and Chips.td: build the target kvq-docs to write it anew. -->

# Coverage

## Operations and layouts

What `--ops` takes with each `--layout`, or with the layout of a layer, by `--kv-cache-dtype`: `fp8` (and `fp8_e4m3`), `e5m2` for `fp8_e5m2`, and
`auto`. All of it with source types bf16, f16 and f32, on every chip below. `test/Execution/test_operations.py` executes each cell on the host and as
each sort of chip, from the same lists; a layout or an operation that those lack stops the build of this page. The operations of rows alone
({rows}) do not depend on the layout.

"""

CHIPS_HEAD = """
## Formats and chips

How the kernels of a family's chips convert each format: `native`, by instructions, or `code`, by integer operations that give the same bits; of
stores and loads where they differ. `auto` copies bits and `transcode` maps codes, without a conversion on any chip. In bold what the layers of a
checkpoint become there with `fp8` and `fp8_e5m2`; the others are what `transcode` reads and writes.

"""


def words(kind):
    """The words of an enumeration of Names.def, in order."""
    text = (SOURCE / "include/kvq/Support/Names.def").read_text()
    return re.findall(rf'KVQ_CASE\({kind}, \w+, "(\w+)"\)', text)


def accepted(kvq_opt, op):
    """By layout: the cache types that the compiler makes kernels of, with all source types."""
    layers = {}
    for layout, [(heads, size, rank, _), *_] in GEOMETRIES.items():
        ranks = f", kv_lora_rank = {rank}, qk_rope_head_dim = {size - rank}" if rank else ""
        for dtype, source in itertools.product(DTYPES, SOURCES):
            layers[layout, dtype, source] = (
                f"kvq.attention @layer{len(layers)} index 0 geometry <heads = {heads}, kv_heads = {heads}, head_size = {size}{ranks}> "
                f"source {source} cache {dtype} layout <{MAPS.get(layout, layout)}> checkpoint(k = 0.5, v = 0.5)"
            )
    # A module that is refused prints nothing. This block size suits every layout.
    passes = ["--kvq-resolve-scales=chip=host", f"--kvq-generate-kernels=ops={op} block-size=32"]
    done = subprocess.run([kvq_opt, "--split-input-file", *passes, "-"], input="\n// -----\n".join(layers.values()), capture_output=True, text=True)
    found = set(re.findall(rf"@(layer\d+) .*kernels = \{{{op} = ", done.stdout))
    if not found:
        raise SystemExit(f"{op}: expected kernels, but got {done.stderr.splitlines()[:1]}")
    cells = {}
    for layout in GEOMETRIES:
        taken = []
        for dtype, word in DTYPES.items():
            sources = [source for source in SOURCES if f"layer{list(layers).index((layout, dtype, source))}" in found]
            if sources not in ([], SOURCES):
                raise SystemExit(f"{op}, {layout}, {dtype}: expected all source types or none, but the compiler takes {sources}")
            taken += [word] if sources else []
        cells[layout] = ", ".join(taken) or "–"
    return cells


def operations_table(kvq_opt):
    layouts = words("LayoutKind")
    missing = [f"layout '{layout}'" for layout in layouts if layout not in GEOMETRIES]
    missing += [f"operation '{op}'" for op in words("CacheOpKind") if op not in OPS + ROW_OPS]
    if missing:
        raise SystemExit(f"test/Execution/cases.py: expected a case of {', '.join(missing)}")
    columns = layouts + list(MAPS)[:1]
    lines = ["| operation | " + " | ".join(f"`{layout}`" for layout in layouts) + " | affine maps |", "|---|" + "---|" * len(columns)]
    for op in OPS + ROW_OPS:
        cells = accepted(kvq_opt, op)
        if len({cells[name] for name in MAPS}) != 1:
            raise SystemExit(f"{op}: expected the same of all affine maps, but got {[cells[name] for name in MAPS]}")
        lines.append(f"| `{op}` | " + " | ".join(cells[layout] for layout in columns) + " |")
    return lines


def chips_table(chips):
    families = {}
    for chip in sorted(chips, key=natural):
        facts = tuple(str(chip[field]) for field in ("Backend", "Family", "Fnuz", "NativeStore", "NativeLoad"))
        families.setdefault(facts, []).append(chip)
    lines = ["| family | chips | " + " | ".join(f"`{name}`" for name in FORMATS) + " |", "|---|---|" + "---|" * len(FORMATS)]
    for backend in ("NVVM", "ROCDL", "Host"):
        for facts, of_family in families.items():
            if facts[0] != backend:
                continue
            chip, cells = of_family[0], []
            for index, name in enumerate(FORMATS):
                store, load = ("native" if chip[field][index] else "code" for field in ("NativeStore", "NativeLoad"))
                cell = store if store == load else f"{store} / {load}"
                is_own = bool(chip["Fnuz"]) == name.endswith("FNUZ")
                cells.append(f"**{cell}**" if is_own else cell)
            names = ", ".join(f"`{member['Name']}`" for member in of_family)
            lines.append(f"| {chip['Family']} | {names} | " + " | ".join(cells) + " |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kvq-opt", required=True, help="the program kvq-opt")
    parser.add_argument("--tablegen", required=True, help="the program llvm-tblgen")
    parser.add_argument("-I", dest="includes", action="append", default=[], help="a folder of .td files")
    parser.add_argument("-o", dest="output", type=pathlib.Path, required=True, help="the page to write")
    arguments = parser.parse_args()
    chips = records(arguments.tablegen, arguments.includes, SOURCE / "include/kvq/Target/Chips.td")
    lines = operations_table(arguments.kvq_opt)
    head = HEAD.format(rows=", ".join(f"`{op}`" for op in ROW_OPS))
    arguments.output.write_text(head + "\n".join(lines) + "\n" + CHIPS_HEAD + "\n".join(chips_table(chips)) + "\n")


if __name__ == "__main__":
    main()
