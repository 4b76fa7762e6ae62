#!/usr/bin/env python3
"""Counts the instructions of every arithmetic for a scale on a chip: what the costs of lib/Fold/StepCounts.cpp are compared with.

    utils/count_arithmetic.py --nvdisasm nvdisasm sm_90 gfx942

A kernel that converts eight values twice by one arithmetic is compared with one that does so once; what the chip cannot do is left out.
"""

import argparse
import pathlib
import re
import subprocess
import tempfile

from machine_code import read_cubin, read_hsaco
from make_isa_docs import ROOT

# For a scale of 3/8: every one of them gives the reference's bits.
LOADS = {
    "none": "none",
    "none in the source's": "none in {source}",
    "none truncated": "none truncated",
    "multiply": "multiply(0.375)",
    "multiply truncated": "multiply(0.375) truncated",
    "multiply_packed in bf16": "multiply_packed(0.375) in bf16",
    "multiply_packed in f16": "multiply_packed(0.375) in f16",
}
STORES = {
    "none": "none",
    "multiply": "multiply(2.0)",
    "multiply_packed": "multiply_packed(2.0) in {source}",
    "two_step": "two_step(2.6666665, 1.6e-7)",
}
PARTS = (1, 2)

KERNEL = """
  gpu.func @{name}(%in: !llvm.ptr<1> {{llvm.noalias, llvm.readonly, llvm.align = 64 : i64}},
                   %out: !llvm.ptr<1> {{llvm.noalias, llvm.align = 64 : i64}}) kernel attributes {{known_block_size = array<i32: 64, 1, 1>}} {{
    %thread = gpu.thread_id x
    %number = arith.index_cast %thread : index to i64
    %scale = arith.constant 0.375 : f32{parts}
    gpu.return
  }}
"""
PART = """
    %from{i} = llvm.getelementptr %in[%number, {i}] : (!llvm.ptr<1>, i64) -> !llvm.ptr<1>, !llvm.array<2 x vector<8x{load_bits}>>
    %to{i} = llvm.getelementptr %out[%number, {i}] : (!llvm.ptr<1>, i64) -> !llvm.ptr<1>, !llvm.array<2 x vector<8x{store_bits}>>
    %bits{i} = llvm.load %from{i} {{alignment = 8 : i64}} : !llvm.ptr<1> -> vector<8x{load_bits}>
    %values{i} = arith.bitcast %bits{i} : vector<8x{load_bits}> to vector<8x{load_type}>
    %converted{i} = kvq.{op} %values{i}, %scale using [#kvq.arithmetic<{arithmetic}, tried 1>]
        : vector<8x{load_type}> to vector<8x{store_type}>
    %result{i} = arith.bitcast %converted{i} : vector<8x{store_type}> to vector<8x{store_bits}>
    llvm.store %result{i}, %to{i} {{alignment = 8 : i64}} : vector<8x{store_bits}>, !llvm.ptr<1>"""


def kernel(name, op, source, element, arithmetic, parts):
    """The text of a kernel that converts `parts` times eight values."""
    sides = (source, element) if op == "quantize" else (element, source)
    bits = {source: source, element: "i8"}
    of_each = {
        "op": op,
        "arithmetic": arithmetic.format(source=source),
        "load_type": sides[0],
        "store_type": sides[1],
        "load_bits": bits[sides[0]],
        "store_bits": bits[sides[1]],
    }
    return KERNEL.format(name=name, parts="".join(PART.format(i=i, **of_each) for i in range(parts)))


def run(command, text):
    """A program's output for `text`; None where it fails."""
    done = subprocess.run([str(word) for word in command], input=text, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def module(kernels, chip):
    """The kernels as a module for a chip."""
    fnuz = "true" if chip == "gfx942" else "false"
    attributes = f'kvq.target = #kvq.target<chip = "{chip}", fnuz = {fnuz}>'
    return f"module attributes {{{attributes}}} {{ gpu.module @kernels {{\n{''.join(kernels)}\n}} }}\n"


def assemble(text, chip, features, tools, folder):
    """The file of the code object of an MLIR module in a GPU's dialect."""
    inside = re.search(r"gpu\.module @kernels[^\n]*\{\n(.*)\n {2}\}\n", text, flags=re.DOTALL)[1]
    ir = run([tools.llvm / "mlir-translate", "--mlir-to-llvmir"], re.sub(r"\blocal_unnamed_addr\b", "", f"module {{\n{inside}\n}}\n"))
    if chip.startswith("gfx"):
        target = folder / f"{chip}.hsaco"
        command = [tools.llvm / "llc", "-mtriple=amdgcn-amd-amdhsa", f"-mcpu={chip}", "--amdhsa-code-object-version=5", "-O3", "-filetype=obj"]
        subprocess.run([*command, "-o", folder / "object.o"], input=ir, text=True, check=True)
        subprocess.run([tools.llvm / "ld.lld", "-shared", folder / "object.o", "-o", target], check=True)
        return target
    target = folder / f"{chip}.cubin"
    subprocess.run(
        [tools.llvm / "llc", "-mtriple=nvptx64-nvidia-cuda", f"-mcpu={chip}", f"-mattr={features}", "-O3", "-o", folder / "kernels.ptx"],
        input=ir,
        text=True,
        check=True,
    )
    subprocess.run([tools.ptxas, f"-arch={chip}", "-O3", folder / "kernels.ptx", "-o", target], check=True)
    return target


class Tools:
    """Where the programs are."""

    def __init__(self, kvq_opt, llvm, ptxas, nvdisasm):
        self.kvq_opt, self.llvm, self.ptxas, self.nvdisasm = kvq_opt, llvm, ptxas, nvdisasm


def count(chip, features, sources, elements, tools):
    """(op, source, element, arithmetic) -> the instructions for eight values, of all that the chip can do."""
    backend = "rocdl" if chip.startswith("gfx") else "nvvm"
    names, kernels = {}, []
    for op, table in (("dequantize", LOADS), ("quantize", STORES)):
        for source in sources:
            for element in elements:
                for title, arithmetic in table.items():
                    texts = [kernel(f"k{len(names)}_{parts}", op, source, element, arithmetic, parts) for parts in PARTS]
                    if run([tools.kvq_opt, "--kvq-lower-fp8", "-o", "/dev/null"], module(texts, chip)) is None:
                        continue
                    names[op, source, element, title] = f"k{len(names)}"
                    kernels += texts
    lowered = run([tools.kvq_opt, f"--kvq-to-{backend}=chip={chip}"], module(kernels, chip))
    with tempfile.TemporaryDirectory() as temporary:
        path = assemble(lowered, chip, features, tools, pathlib.Path(temporary))
        code = read_hsaco(path, chip, tools.llvm) if backend == "rocdl" else read_cubin(path, tools.nvdisasm)

    def length(name):
        # Without memory accesses, waits, jumps and what a chip does to addresses.
        skipped = r"(?:LD|ST|BRA|NOP|EXIT|S2|LDC|ULDC|s_|global_|v_mov|MOV|UMOV|IMAD\.MOV)"
        return sum(1 for mnemonic in code[name].instructions if not re.match(skipped, mnemonic))

    return {key: length(f"{name}_2") - length(f"{name}_1") for key, name in names.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvq-opt", default=ROOT / "build" / "release" / "bin" / "kvq-opt", type=pathlib.Path)
    parser.add_argument("--nvdisasm", default="nvdisasm", help="CUDA's disassembler")
    parser.add_argument("--ptxas", default="ptxas", help="CUDA's assembler")
    parser.add_argument("--llvm-tools", default="/usr/lib/llvm-22/bin", type=pathlib.Path, help="the folder of LLVM's programs")
    parser.add_argument("--features", default="+ptx88", help="LLVM's features of an NVIDIA chip")
    parser.add_argument("--elements", nargs="*", default=["f8E4M3FN", "f8E5M2"], help="FP8 formats")
    parser.add_argument("chips", nargs="+", help="chips of the table")
    arguments = parser.parse_args()
    tools = Tools(arguments.kvq_opt, arguments.llvm_tools, arguments.ptxas, arguments.nvdisasm)
    for chip in arguments.chips:
        found = count(chip, arguments.features, ["bf16", "f16", "f32"], arguments.elements, tools)
        for (op, source, element, title), number in found.items():
            print(f"{chip:8} {op:10} {source:4} {element:10} {title:24} {number:4}")


if __name__ == "__main__":
    main()
