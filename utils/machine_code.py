#!/usr/bin/env python3
"""What is in a code object for a GPU: each kernel's instructions, registers and memory of its own, by nvdisasm or LLVM's tools.

    utils/machine_code.py --nvdisasm nvdisasm out/sm_90.cubin
    utils/machine_code.py --llvm-tools /usr/lib/llvm-22/bin out/gfx942.hsaco        the file's name is the chip's

As a program it prints each kernel's facts, then `mnemonic: count` in the alphabet's order.
"""

import argparse
import collections
import dataclasses
import pathlib
import re
import struct
import subprocess


@dataclasses.dataclass
class Kernel:
    """A kernel's mnemonics in order, modifiers included; the vector registers and the bytes of local memory of a thread."""

    instructions: list
    registers: int
    local_bytes: int

    def count(self, pattern):
        """The instructions whose mnemonic begins as a regular expression says."""
        return sum(1 for instruction in self.instructions if re.match(pattern, instruction))

    def accesses(self):
        """(load or store, bytes) -> count, of global memory."""
        found = collections.Counter()
        for instruction in self.instructions:
            if nvidia := re.match(r"(LD|ST)G\.E(?:\.(\w+))?", instruction):
                widths = {"64": 8, "128": 16, "256": 32, "ENL2": 32, "U8": 1, "S8": 1, "U16": 2, "S16": 2}
                found["load" if nvidia[1] == "LD" else "store", widths.get(nvidia[2], 4)] += 1
            elif amd := re.match(r"(?:global|flat|buffer)_(load|store)_(?:d16_)?(?:hi_)?[a-z]+?(x?)(\d*)(?:_|$)", instruction):
                widths = {"dword": 4, "byte": 1, "ubyte": 1, "sbyte": 1, "short": 2, "ushort": 2, "sshort": 2}
                name = re.sub(r"_d16(_hi)?$", "", instruction).split("_")[-1]
                bits = re.fullmatch(r"[a-z](\d+)", name)
                found[amd[1], int(bits[1]) // 8 if bits else int(amd[3] or 1) * widths[name.split("x")[0]]] += 1
        return found


def _run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout


def _until_last(instructions, end):
    """Without the padding behind a kernel's last end."""
    return instructions[: len(instructions) - instructions[::-1].index(end)]


def read_cubin(path, nvdisasm):
    """The kernels of a cubin by symbol."""
    text = _run(nvdisasm, path)
    facts = re.findall(r"0x04, 0x(11|2f)\n(?:.*\n){0,4}?.*\.word\s+index@\((\w+)\)\n.*\.word\s+(0x\w+)", text)
    facts = {(kind, symbol): int(value, 16) for kind, symbol, value in facts}
    parts = re.split(r"^\.text\.(\w+):", text, flags=re.MULTILINE)
    kernels = {}
    for symbol, body in zip(parts[1::2], parts[2::2], strict=True):
        instructions = re.findall(r"/\*[0-9a-f]{4}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", body)
        # A division's slow path is a function, which returns.
        if "EXIT" in instructions:
            kernels[symbol] = Kernel(_until_last(instructions, "EXIT"), facts["2f", symbol], facts["11", symbol])
    return kernels


def _disassemble(path, chip, llvm_tools):
    """The text of each kernel of an AMD code object by symbol."""
    text = _run(llvm_tools / "llvm-objdump", "-d", "--no-show-raw-insn", f"--mcpu={chip}", path)
    parts = re.split(r"^[0-9a-f]+ <(\w+)>:", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def read_hsaco(path, chip, llvm_tools):
    """The kernels of an AMD code object by symbol."""
    notes = _run(llvm_tools / "llvm-readelf", "--notes", path)
    bodies = _disassemble(path, chip, llvm_tools)
    kernels = {}
    for note in notes.split(".group_segment_fixed_size:")[1:]:
        fact = dict(re.findall(r"^\s+\.(\w+):\s+(\S+)$", note, flags=re.MULTILINE))
        instructions = _until_last(re.findall(r"^\s+([a-z]\w+)", bodies[fact["name"]], flags=re.MULTILINE), "s_endpgm")
        kernels[fact["name"]] = Kernel(instructions, int(fact["vgpr_count"]), int(fact["private_segment_fixed_size"]))
    return kernels


@dataclasses.dataclass
class FloatModes:
    """How an AMD kernel's waves begin to round, treat denormal numbers (3: keep them) and convert to 16 bits, and what of that its code changes."""

    rounding: tuple
    denormals: tuple
    saturates_halves: bool
    changed_bits: set


def read_float_modes(path, chip, llvm_tools):
    """The float modes of the kernels of an AMD code object by symbol: llvm/Support/AMDHSAKernelDescriptor.h has the fields."""
    sections = re.search(r"\.rodata\s+PROGBITS\s+(\w+)\s+(\w+)", _run(llvm_tools / "llvm-readelf", "-S", path))
    to_file = int(sections[2], 16) - int(sections[1], 16)
    image = pathlib.Path(path).read_bytes()
    symbols = re.findall(r"(\w+)\s+64 OBJECT.* (\w+)\.kd$", _run(llvm_tools / "llvm-readelf", "--dyn-syms", path), flags=re.MULTILINE)
    bodies = _disassemble(path, chip, llvm_tools)
    modes = {}
    for address, symbol in symbols:
        (word,) = struct.unpack_from("<I", image, int(address, 16) + to_file + 48)

        def field(at, width, word=word):
            return word >> at & (1 << width) - 1

        # Of the mode register: rounding in bits 0 to 3, denormals in 4 to 7.
        changed = set()
        for kind in re.findall(r"s_(round|denorm)_mode", bodies[symbol]):
            changed |= set(range(0, 4) if kind == "round" else range(4, 8))
        for first, width in re.findall(r"s_setreg\w* hwreg\(HW_REG_(?:WAVE_)?MODE(?:, (\d+), (\d+))?\)", bodies[symbol]):
            changed |= set(range(int(first or 0), int(first or 0) + int(width or 32)))
        modes[symbol] = FloatModes((field(12, 2), field(14, 2)), (field(16, 2), field(18, 2)), bool(field(26, 1)), changed)
    return modes


def code_object_version(path, llvm_tools):
    """The version of an AMD code object, from the ELF header's ABI version."""
    return int(re.search(r"ABI Version:\s+(\d+)", _run(llvm_tools / "llvm-readelf", "-h", path))[1]) + 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nvdisasm", help="CUDA's disassembler, for a .cubin")
    parser.add_argument("--llvm-tools", type=pathlib.Path, help="the folder of LLVM's programs, for a .hsaco")
    parser.add_argument("file", type=pathlib.Path, help="CHIP.cubin or CHIP.hsaco")
    arguments = parser.parse_args()
    path = arguments.file
    kernels = read_cubin(path, arguments.nvdisasm) if path.suffix == ".cubin" else read_hsaco(path, path.stem, arguments.llvm_tools)
    for symbol, kernel in sorted(kernels.items()):
        print(f"kernel {symbol}", f"registers: {kernel.registers}", f"local bytes: {kernel.local_bytes}", sep="\n")
        for mnemonic, count in sorted(collections.Counter(kernel.instructions).items()):
            print(f"{mnemonic}: {count}")


if __name__ == "__main__":
    main()
