"""Every ```mlir block of the README and of docs/ is IR that kvq-opt reads, verifies, prints and reads again."""

import re
import subprocess
import sys

import pytest
from conftest import SOURCE

sys.path.insert(0, str(SOURCE / "utils"))
from make_isa_docs import GEOMETRIES, OPS, ROW_OPS, title_of  # noqa: E402

BLOCK = re.compile(r"^( *)```mlir\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def blocks():
    """(id, text) of each block, its indent removed."""
    for path in [SOURCE / "README.md", *sorted((SOURCE / "docs").rglob("*.md"))]:
        for number, (indent, text) in enumerate(BLOCK.findall(path.read_text()), 1):
            yield f"{path.relative_to(SOURCE)}:{number}", "\n".join(line.removeprefix(indent) for line in text.split("\n"))


CASES = list(blocks())


@pytest.mark.skipif(not CASES, reason="no mlir blocks in the documentation yet")
@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in CASES])
def test_block(kvq_opt, text):
    result = subprocess.run([kvq_opt, "--verify-roundtrip", "-"], input=text, capture_output=True, text=True)
    assert result.returncode == 0, f"{result.stderr}\n{text}"


def test_machine_code_has_every_kernel():
    """The page is made by hand: an operation or a layout that came since is missing."""
    text = (SOURCE / "docs" / "machine-code.md").read_text()
    sections = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## )", text, flags=re.MULTILINE | re.DOTALL))
    assert list(sections) == OPS
    assert all(f"| chip | {' | '.join(title_of(layout) for layout in GEOMETRIES)} |" in section for section in sections.values())
    assert f"| chip | {' | '.join(f'`{op}`' for op in ROW_OPS)} |" in text


def test_blocks_are_found():
    assert BLOCK.findall("a\n  ```mlir\n  x\n  ```\n```c\ny\n```\n```mlir\nz\n```\n") == [("  ", "  x\n"), ("", "z\n")]
