"""Every ```mlir block of the README and of docs/ is IR that kvq-opt reads, verifies, prints and reads again."""

import re
import subprocess

import pytest
from conftest import SOURCE

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


def test_blocks_are_found():
    assert BLOCK.findall("a\n  ```mlir\n  x\n  ```\n```c\ny\n```\n```mlir\nz\n```\n") == [("  ", "  x\n"), ("", "z\n")]
