#!/usr/bin/env python3
"""Writes docs/machine-code.md: what every kernel of one chip of each family is made of, read from the code objects.

    utils/make_isa_docs.py --kvqc build/release/bin/kvqc --nvdisasm .venv/.../nvdisasm

Run by hand: the counts depend on the versions of ptxas or nvJitLink and of LLVM, so no test compares the page.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

from machine_code import read_cubin, read_hsaco
from make_chip_docs import natural, one_of_each_sort, records

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test" / "Execution"))
from cases import GEOMETRIES, MAPS, OPS, ROW_OPS  # noqa: E402

SOURCES = {"bf16": 2, "f16": 2, "f32": 4}
DTYPES = ["fp8", "fp8_e5m2", "auto"]
# What the tables by operation are of.
USUAL = ("bf16", "fp8")
HEADS, HEAD_SIZE, LATENT, BLOCK = 8, 128, (512, 64), 16
LAYER = (
    "kvq.attention @{name} index {index} geometry <heads = {heads}, kv_heads = {kv_heads}, head_size = {size}{ranks}> source {source} "
    "cache {dtype} layout <{order}> checkpoint(q = 1.0, k = 0.375, v = 0.023, prob = 1.0)\n"
)

HEAD = """\
<!-- Made by utils/make_isa_docs.py: run it again after a change of the kernels. -->

# Machine code

What comes out of `kvqc compile` for {heads} KV heads of {head_size} elements (`mla`: one latent row of {rank} and {rope}) and blocks of {block} rows,
the scales folded into the kernels, of every operation on every layout: for the first chip of each family ([chips](reference/chips.md) has them all).
Rows are bf16 and the cache is `fp8`, but for the tables by type.

- **Accesses** to global memory are those in the code, loads → stores: `2×16, 8` are two of 16 bytes and one of 8. Loads of integers are among
  them where they are a thread's own (a slot has 8 bytes, a block table's entry 4; AMD has most of them in scalar registers, which are not shown).
- **Instructions an element** are all in the code, each counted once, address arithmetic included, over those that a thread takes: 16 bytes of K
  and as many of V on the side with the wider elements. With `mla`, and for rows alone, a thread takes 16 bytes of one part, but the code of all
  counts. Where the chip converts a format itself they are few; where it does not, integer code stands in.
- **Registers**, after the point in the middle, are a thread's: all on NVIDIA, vector registers on AMD. No kernel uses local memory or scratch.

The figures depend on the versions of the tools, so nothing compares this page with the code. These are of {tools};
`utils/make_isa_docs.py` writes the page anew.
Tests hold what matters: `test/ISA/test_machine_code.py` for every chip, and `test/ISA/*.test` for one chip of a family.
"""


def one_of_each_family(llvm_tools):
    """The first chip of each family, and of those of a family that the table tells apart."""
    table = records(llvm_tools / "llvm-tblgen", [llvm_tools.parent / "include"], ROOT / "include/kvq/Target/Chips.td")
    chips = one_of_each_sort(sorted(table, key=natural), ("Name", "Features"))
    return [chip["Name"] for backend in ("NVVM", "ROCDL") for chip in chips if chip["Backend"] == backend]


def versions(cubin, llvm_tools):
    """The versions of LLVM and of the assembler that left its name in a cubin, as the page states them."""
    cuda = re.search(rb"release [\d.]+, V([\d.]+)", cubin.read_bytes())
    llvm = subprocess.run([llvm_tools / "llvm-objdump", "--version"], check=True, capture_output=True, text=True).stdout
    return f"LLVM {re.search(r'LLVM version ([0-9.]+)', llvm)[1]} and CUDA {cuda[1].decode() if cuda else 'of an unknown version'}"


def is_latent(layout):
    """Whether a cache of the layout has latent rows."""
    return GEOMETRIES[layout][0][2] != 0


def layer(index, layout, source, dtype):
    """A layer with a layout of the tests, in IR."""
    rank, rope = LATENT
    latent = is_latent(layout)
    return LAYER.format(
        name=f"layer{index}",
        index=index,
        heads=128 if latent else 4 * HEADS,
        kv_heads=1 if latent else HEADS,
        size=rank + rope if latent else HEAD_SIZE,
        ranks=f", kv_lora_rank = {rank}, qk_rope_head_dim = {rope}" if latent else "",
        source=source,
        dtype=dtype,
        order=MAPS.get(layout, layout),
    )


class Code:
    """The kernels of layers with some layouts, for all chips, in machine code."""

    def __init__(self, arguments, chips, folder, layouts, ops, source, dtype):
        folder.mkdir()
        layers = [layer(index, layout, source, dtype) for index, layout in enumerate(layouts)]
        (folder / "layers.mlir").write_text("".join(layers))
        targets = [option for chip in chips for option in ("--target", chip)]
        command = [arguments.kvqc, "compile", folder / "layers.mlir", "-o", folder / "out", "--ops", ",".join(ops), *targets]
        subprocess.run([*command, "--block-size", str(BLOCK)], check=True, capture_output=True)
        manifest = json.loads((folder / "out" / "manifest.json").read_text())
        self.layouts = layouts
        self.kernels = {}
        for target in manifest["targets"]:
            chip, files = target["target"], target["files"]
            if "hsaco" in files:
                self.kernels[chip] = read_hsaco(folder / "out" / files["hsaco"], chip, arguments.llvm_tools)
            elif "cubin" in files:
                self.kernels[chip] = read_cubin(folder / "out" / files["cubin"], arguments.nvdisasm)
            else:
                raise SystemExit(f"expected a cubin for {chip}, but got PTX alone: is ptxas or nvJitLink there?")
        self.symbols = [entry["kernels"] for entry in manifest["layers"]]
        self.manifests = {(kernel["target"], kernel["symbol"]): kernel for kernel in manifest["kernels"]}

    def kernel(self, chip, layout, op):
        """A kernel's machine code, and its entry in the manifest."""
        symbol = self.symbols[self.layouts.index(layout)][chip][op]
        kernel = self.kernels[chip][symbol]
        if kernel.local_bytes:
            raise SystemExit(f"expected no local memory, but got {kernel.local_bytes} bytes in '{symbol}' for {chip}")
        return kernel, self.manifests[chip, symbol]


def taken(entry, layout):
    """The elements that a thread takes."""
    moves_codes = entry["op"] in ("transcode_to_ocp", "transcode_to_fnuz", "rescale")
    width = 16 // (1 if moves_codes else SOURCES[entry["source_type"]])
    return width * (1 if is_latent(layout) or entry["op"] in ROW_OPS else 2)


def cell(code, chip, layout, op):
    """Instructions for an element, and registers."""
    kernel, entry = code.kernel(chip, layout, op)
    return f"{len(kernel.instructions) / taken(entry, layout):.1f} · {kernel.registers}"


def accesses(kernel):
    """Loads and stores of global memory, the widest first."""

    def of(side):
        found = sorted(((size, count) for (what, size), count in kernel.accesses().items() if what == side), reverse=True)
        return ", ".join(str(size) if count == 1 else f"{count}×{size}" for size, count in found) or "–"

    return f"{of('load')} → {of('store')}"


def table(titles, rows, numbers):
    """A table in Markdown, whose last `numbers` columns are right-aligned."""
    lines = [titles, ["---"] * (len(titles) - numbers) + ["---:"] * numbers, *rows]
    return ["|" + "|".join(cells) + "|" if cells[0] == "---" else "| " + " | ".join(cells) + " |" for cells in lines] + [""]


def title_of(layout):
    return layout if layout in MAPS else f"`{layout}`"


def name_chips(of, chips):
    """Some of the chips, by vendor: all, all but a few, or the few."""
    words = []
    for vendor, prefix in (("NVIDIA", "sm_"), ("AMD", "gfx")):
        own = [f"`{chip}`" for chip in chips if chip.startswith(prefix) and chip in of]
        others = [f"`{chip}`" for chip in chips if chip.startswith(prefix) and chip not in of]
        if len(own) > len(others):
            words.append(f"{vendor} but {', '.join(others)}" if others else vendor)
        else:
            words += own
    return ", ".join(words)


def accesses_rows(code, chips, op, layouts):
    """A row for each layout and way to access memory, with the chips that go that way."""
    found = {}
    for layout in layouts:
        for chip in chips:
            found.setdefault((layout, accesses(code.kernel(chip, layout, op)[0])), []).append(chip)
    merged = {}
    for (layout, text), of in found.items():
        merged.setdefault((text, name_chips(of, chips)), []).append(title_of(layout))
    return [[", ".join(of), text, words] for (text, words), of in merged.items()]


def operation_section(code, chips, op, layouts):
    """What an operation is made of, on each layout."""
    lines = [f"## `{op}`", ""]
    lines += table(["layout", "accesses", "chips"], accesses_rows(code, chips, op, layouts), 0)
    rows = [[f"`{chip}`", *(cell(code, chip, layout, op) for layout in layouts)] for chip in chips]
    return lines + table(["chip", *map(title_of, layouts)], rows, len(layouts))


def rows_section(code, chips):
    """The operations of rows alone, which have no layout."""
    lines = ["## Operations of rows", ""]
    rows = [[f"`{op}`", *row[1:]] for op in ROW_OPS for row in accesses_rows(code, chips, op, ["nhd"])]
    lines += table(["operation", "accesses", "chips"], rows, 0)
    rows = [[f"`{chip}`", *(cell(code, chip, "nhd", op) for op in ROW_OPS)] for chip in chips]
    return lines + table(["chip", *(f"`{op}`" for op in ROW_OPS)], rows, len(ROW_OPS))


def formats_section(codes, chips):
    """Stores and loads of one layout by source type and cache dtype."""
    lines = []
    for op in ("store", "load"):
        lines += [f"## `{op}` on `nhd` by type", "", "The source type and `--kv-cache-dtype`.", ""]
        rows = [[f"`{chip}`", *(cell(code, chip, "nhd", op) for code in codes.values())] for chip in chips]
        lines += table(["chip", *(f"{source}, `{dtype}`" for source, dtype in codes)], rows, len(codes))
    return lines


def page(arguments):
    """The page as text."""
    chips, layouts = one_of_each_family(arguments.llvm_tools), list(GEOMETRIES)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        code = Code(arguments, chips, folder / "all", layouts, OPS + ROW_OPS, *USUAL)
        codes = {}
        for dtype in DTYPES:
            for source in SOURCES:
                codes[source, dtype] = Code(arguments, chips, folder / f"{source}-{dtype}", ["nhd"], ["store", "load"], source, dtype)
        lines = []
        for op in OPS:
            lines += operation_section(code, chips, op, layouts)
        lines += rows_section(code, chips) + formats_section(codes, chips)
        tools = versions(folder / "all" / "out" / "sm_90.cubin", arguments.llvm_tools)
    head = HEAD.format(tools=tools, heads=HEADS, head_size=HEAD_SIZE, rank=LATENT[0], rope=LATENT[1], block=BLOCK)
    return head + "\n" + "\n".join(lines).rstrip("\n") + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvqc", default=ROOT / "build" / "release" / "bin" / "kvqc", type=pathlib.Path)
    parser.add_argument("--nvdisasm", default="nvdisasm", help="CUDA's disassembler")
    parser.add_argument("--llvm-tools", default="/usr/lib/llvm-22/bin", type=pathlib.Path, help="the folder of LLVM's programs")
    parser.add_argument("-o", dest="output", default=ROOT / "docs" / "machine-code.md", type=pathlib.Path, help="the page to write")
    arguments = parser.parse_args()
    arguments.output.write_text(page(arguments))


if __name__ == "__main__":
    main()
