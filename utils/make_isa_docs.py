#!/usr/bin/env python3
"""Writes docs/machine-code.md: what the kernels of one chip of each family are made of, read from their code objects.

    utils/make_isa_docs.py --kvqc build/release/bin/kvqc --nvdisasm .venv/.../nvdisasm

Run by hand: the counts depend on the versions of ptxas or nvJitLink and of LLVM, so no test compares the page.
"""

import argparse
import json
import pathlib
import re
import subprocess
import tempfile

from machine_code import read_cubin, read_hsaco
from make_chip_docs import natural, one_of_each_sort, records

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = {"bf16": 2, "f16": 2, "f32": 4}
DTYPES = ["fp8", "fp8_e5m2", "auto"]
LAYER = (
    "kvq.attention @layer index 0 geometry <heads = 32, kv_heads = 8, head_size = 128> source {source} cache {dtype} "
    "checkpoint(q = 1.0, k = 0.375, v = 0.023, prob = 1.0)\n"
)

HEAD = """\
<!-- Made by utils/make_isa_docs.py: run it again after a change of the kernels. -->

# Machine code

What comes out of `kvqc compile` for 8 KV heads of 128 elements, the scales folded into the kernels, one row a source type and chip: the first chip
of each family ([chips](reference/chips.md) has them all). A thread takes 16 bytes of K and 16 bytes of V outside the cache, as many elements
inside it. Each kernel has two figures a column, store / load.

- **Registers** of a thread: all of them on NVIDIA, vector registers on AMD. No kernel here uses local memory or scratch.
- **Access** is the bytes of one thread's access to the cache; outside it every access has 16.
- **Instructions** are those in the code, each counted once, address arithmetic included; the last column divides them by the elements of K and V
  that a thread takes. Where the chip converts a format itself they are few; where it does not, integer code stands in.

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


def compile_all(kvqc, chips, folder, dtype, source):
    """The manifest of one layer for all chips; the code objects lie beside it."""
    folder.mkdir()
    (folder / "layer.mlir").write_text(LAYER.format(source=source, dtype=dtype))
    targets = [option for chip in chips for option in ("--target", chip)]
    subprocess.run([kvqc, "compile", folder / "layer.mlir", "-o", folder / "out", *targets], check=True, capture_output=True)
    return json.loads((folder / "out" / "manifest.json").read_text())


def row(cells):
    return "| " + " | ".join(cells) + " |"


def describe(chip, source, manifest, kernels):
    """A row of the table."""
    made = {kernel["op"]: kernel for kernel in manifest["kernels"] if kernel["target"] == chip}
    code = [kernels[made[op]["symbol"]] for op in ("store", "load")]
    if any(kernel.local_bytes for kernel in code):
        raise SystemExit(f"expected no local memory, but got some in a kernel of {chip}")
    elements = 2 * 16 // SOURCES[source]
    # The cache's side: what a store stores and a load loads, without NVIDIA's load of the slot.
    slot = ("load", 8) if chip.startswith("sm_") else None
    cache = []
    for side, kernel in zip(("store", "load"), code, strict=True):
        widths = {size: count - ((side, size) == slot) for (what, size), count in kernel.accesses().items() if what == side}
        cache.append(max(size for size, count in widths.items() if count))
    return row(
        [
            f"`{chip}`",
            source,
            made["store"]["cache_type"],
            " / ".join(str(kernel.registers) for kernel in code),
            " / ".join(map(str, cache)),
            " / ".join(str(len(kernel.instructions)) for kernel in code),
            " / ".join(f"{len(kernel.instructions) / elements:.1f}" for kernel in code),
        ]
    )


def page(kvqc, nvdisasm, llvm_tools):
    """The page as text."""
    chips = one_of_each_family(llvm_tools)
    lines = []
    with tempfile.TemporaryDirectory() as temporary:
        for dtype in DTYPES:
            lines += [f"## `--kv-cache-dtype {dtype}`", ""]
            lines += ["| chip | source | cache | registers | access | instructions | an element |", "|---|---|---|---:|---:|---:|---:|"]
            rows = {}
            for source in SOURCES:
                folder = pathlib.Path(temporary) / f"{dtype}-{source}"
                manifest = compile_all(kvqc, chips, folder, dtype, source)
                for chip in chips:
                    files = next(target["files"] for target in manifest["targets"] if target["target"] == chip)
                    if "hsaco" in files:
                        kernels = read_hsaco(folder / "out" / files["hsaco"], chip, llvm_tools)
                    elif "cubin" in files:
                        kernels = read_cubin(folder / "out" / files["cubin"], nvdisasm)
                    else:
                        raise SystemExit(f"expected a cubin for {chip}, but got PTX alone: is ptxas or nvJitLink there?")
                    rows[chip, source] = describe(chip, source, manifest, kernels)
            lines += [rows[chip, source] for chip in chips for source in SOURCES] + [""]
        tools = versions(folder / "out" / "sm_90.cubin", llvm_tools)
    return HEAD.format(tools=tools) + "\n" + "\n".join(lines).rstrip("\n") + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvqc", default=ROOT / "build" / "release" / "bin" / "kvqc", type=pathlib.Path)
    parser.add_argument("--nvdisasm", default="nvdisasm", help="CUDA's disassembler")
    parser.add_argument("--llvm-tools", default="/usr/lib/llvm-22/bin", type=pathlib.Path, help="the folder of LLVM's programs")
    parser.add_argument("-o", dest="output", default=ROOT / "docs" / "machine-code.md", type=pathlib.Path, help="the page to write")
    arguments = parser.parse_args()
    arguments.output.write_text(page(arguments.kvqc, arguments.nvdisasm, arguments.llvm_tools))


if __name__ == "__main__":
    main()
