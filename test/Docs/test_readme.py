"""What the README shows on its consoles is what the commands print."""

import pytest
from conftest import SOURCE
from consoles import check_printed, commands, pattern, run_page


def test_pattern():
    assert pattern(["a…", "…", "d"]).fullmatch("ab\nx\ny\nd\n")
    assert pattern(["a…", "…", "d"]).fullmatch("a\nd\n")
    assert not pattern(["a", "d"]).fullmatch("a\nx\nd\n")


def test_commands():
    assert list(commands("x\n```console\n$ a \\\n    b\nc\n$ d\n```\n")) == [("a     b", ["c"]), ("d", [])]


def test_readme(bin_dir, llvm_tools_dir, tmp_path):
    found = 0
    for command, lines, printed in run_page(SOURCE / "README.md", tmp_path, [bin_dir, llvm_tools_dir]):
        found += 1
        if "sm_90.cubin" in lines and not (tmp_path / "kernels/sm_90.cubin").exists():
            pytest.skip("nothing here assembles PTX")
        check_printed(command, lines, printed)
    assert found > 10
