"""The blocks of docs/python.md run, in order, in one folder; those marked `torch` where it is found."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from conftest import SOURCE

BLOCK = re.compile(r"^```python( torch)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("with_torch", [False, True], ids=["numpy", "torch"])
def test_python_page(package_dir, tmp_path, with_torch):
    if with_torch and importlib.util.find_spec("torch") is None:
        pytest.skip("could not import 'torch'")
    blocks = [text for marked, text in BLOCK.findall((SOURCE / "docs" / "python.md").read_text()) if with_torch or not marked]
    assert len(blocks) > 5
    os.symlink(SOURCE / "test", tmp_path / "test")
    environment = dict(os.environ, PYTHONPATH=str(package_dir))
    done = subprocess.run([sys.executable, "-c", "\n".join(blocks)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
