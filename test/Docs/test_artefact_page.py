"""What docs/artefact.md shows on its consoles is what the commands print."""

from conftest import SOURCE
from consoles import check_printed, run_page


def test_artefact_page(bin_dir, llvm_tools_dir, tmp_path):
    found = 0
    for command, lines, printed in run_page(SOURCE / "docs" / "artefact.md", tmp_path, [bin_dir, llvm_tools_dir]):
        check_printed(command, lines, printed)
        found += 1
    assert found >= 8
