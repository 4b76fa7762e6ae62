"""What the README shows on its consoles is what the commands print.

A ```console block has commands behind `$ ` and what they print, stdout and stderr together. `…` alone on a line stands for any number of
lines, inside a line for any text. All commands of the page run in one folder, in order.
"""

import os
import re
import subprocess

import pytest
from conftest import SOURCE

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(text):
    """(command, lines printed) of each command of each block, in order."""
    for block in BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.rstrip("\n").split("\n")
            yield command, lines


def pattern(lines):
    """The regular expression of what a command prints."""
    made = "".join(r"(?:.*\n)*?" if line == "…" else ".*?".join(re.escape(text) for text in line.split("…")) + r"\n" for line in lines)
    return re.compile(made)


def test_pattern():
    assert pattern(["a…", "…", "d"]).fullmatch("ab\nx\ny\nd\n")
    assert pattern(["a…", "…", "d"]).fullmatch("a\nd\n")
    assert not pattern(["a", "d"]).fullmatch("a\nx\nd\n")


def test_readme(bin_dir, llvm_tools_dir, tmp_path):
    os.symlink(SOURCE / "test", tmp_path / "test")
    environment = dict(os.environ, PATH=os.pathsep.join([str(bin_dir), str(llvm_tools_dir), os.environ["PATH"]]), LC_ALL="C")
    found = list(commands((SOURCE / "README.md").read_text()))
    assert len(found) > 10
    for command, lines in found:
        result = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert result.returncode == 0, f"{command}\n{result.stdout}"
        if "sm_90.cubin" in lines and not (tmp_path / "kernels/sm_90.cubin").exists():
            pytest.skip("nothing here assembles PTX")
        assert pattern(lines).fullmatch(result.stdout), f"$ {command}\nprinted\n{result.stdout[:20000]}"
