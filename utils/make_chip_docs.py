#!/usr/bin/env python3
"""Writes docs/reference/chips.md from include/kvq/Target/Chips.td, by way of llvm-tblgen's JSON."""

import argparse
import json
import pathlib
import subprocess

FORMATS = ["f8E4M3FN", "f8E4M3FNUZ", "f8E5M2", "f8E5M2FNUZ"]
BACKENDS = {"NVVM": "NVIDIA, through NVVM and PTX", "ROCDL": "AMD, through ROCDL", "Host": "this machine"}

HEAD = """\
<!-- Made by utils/make_chip_docs.py from include/kvq/Target/Chips.td: change that file, then build the target kvq-docs. -->

# Chips

The targets that `kvqc --target` and the passes' `chip` option take. A chip converts the formats listed here with instructions of its own, and
the others with integer code that gives the same bits. `fp8` means f8E4M3FN, on a fnuz chip f8E4M3FNUZ, and there every scale is doubled.
"""


def records(tablegen, includes, path):
    """The chips of the table, in its order."""
    command = [tablegen, "--dump-json", *(f"-I{folder}" for folder in includes), path]
    table = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return [{field: value for field, value in table[name].items() if not field.startswith("!")} for name in table["!instanceof"]["Chip"]]


def one_of_each_sort(chips, ignored):
    """The first of those chips that the table tells apart by nothing but the `ignored` fields."""
    found = {}
    for chip in chips:
        found.setdefault(str([value for field, value in chip.items() if field not in ignored]), chip)
    return list(found.values())


def number(bits):
    """The number that a `bits<n>` field is, lowest bit first."""
    return sum(bit << index for index, bit in enumerate(bits))


def formats(bits):
    """The formats of a `bits<4>` field, lowest bit first."""
    chosen = [name for name, bit in zip(FORMATS, bits, strict=True) if bit]
    return ", ".join(chosen) or "none"


def natural(chip):
    """A sort key: sm_90 before sm_100, gfx909 before gfx90a."""
    return (len(chip["Name"]), chip["Name"])


def page(chips):
    """The page as text."""
    lines = [HEAD]
    for backend, title in BACKENDS.items():
        lines += [f"## {title[0].upper() + title[1:]}", ""]
        lines += ["| chip | family | fnuz | stores natively | loads natively | threads together | widest access | LLVM features |"]
        lines += ["|---|---|---|---|---|---:|---:|---|"]
        for chip in sorted((c for c in chips if c["Backend"] == backend), key=natural):
            features = f"`{chip['Features']}`" if chip["Features"] else ""
            needed = f" with `{chip['WideFeatures']}`" if chip["WideFeatures"] else ""
            lines += [
                f"| `{chip['Name']}` | {chip['Family']} | {'yes' if chip['Fnuz'] else 'no'} | {formats(chip['NativeStore'])} "
                f"| {formats(chip['NativeLoad'])} | {number(chip['WaveSize'])} | {number(chip['MaxAccessBytes'])} bytes{needed} | {features} |"
            ]
        lines += [""]
    return "\n".join(lines).rstrip("\n") + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tablegen", required=True, help="the program llvm-tblgen")
    parser.add_argument("-I", dest="includes", action="append", default=[], help="a folder of .td files")
    parser.add_argument("-o", dest="output", type=pathlib.Path, required=True, help="the page to write")
    parser.add_argument("table", help="Chips.td")
    arguments = parser.parse_args()
    arguments.output.write_text(page(records(arguments.tablegen, arguments.includes, arguments.table)))


if __name__ == "__main__":
    main()
