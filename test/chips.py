"""The chips of the table, so that a new one is executed without a line here."""

import os
import pathlib
import sys

from conftest import SOURCE

sys.path.insert(0, str(SOURCE / "utils"))
from make_chip_docs import natural, number, one_of_each_sort, records  # noqa: E402

TOOLS = pathlib.Path(os.environ.get("KVQ_LLVM_TOOLS_DIR", "/usr/lib/llvm-22/bin"))


def table():
    """The rows of every chip, the host's among them."""
    rows = records(str(TOOLS / "llvm-tblgen"), [TOOLS.parent / "include"], SOURCE / "include/kvq/Target/Chips.td")
    return {row["Name"]: row for row in sorted(rows, key=natural)}


CHIPS = table()

# The pipelines' names of the table's backends.
BACKENDS = {name: row["Backend"].lower() for name, row in CHIPS.items()}
EMULATED = [name for name, backend in BACKENDS.items() if backend != "host"]


def representatives():
    """One chip of each sort: those that differ in names and LLVM's features alone have the same kernels up to LLVM."""
    return [row["Name"] for row in one_of_each_sort(CHIPS.values(), ("Name", "Family", "Features"))]


def max_access_bytes(chip):
    """The widest access of a chip's thread."""
    return number(CHIPS[chip]["MaxAccessBytes"])


def is_fnuz(chip):
    """Whether the engine's formats are fnuz on a chip."""
    return bool(CHIPS[chip]["Fnuz"])
