"""The example's decode loop, which checks itself against the reference, on numpy and where it is found on torch."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest


def decode(package_dir, source_dir, checkpoint, *options):
    command = [sys.executable, source_dir / "examples" / "python" / "decode.py", checkpoint, *options]
    return subprocess.run(command, env=dict(os.environ, PYTHONPATH=str(package_dir)), capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_decode(package_dir, source_dir, checkpoints_dir, framework):
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"could not import '{framework}'")
    done = decode(package_dir, source_dir, checkpoints_dir / "llama-ct", "--steps", "3", *(["--numpy"] if framework == "numpy" else []))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    for line in lines:
        assert re.fullmatch(rf"model\.layers\.\d\.self_attn: 3 steps on cpu with {framework}, attention within 0\.\d\d\d", line)


def test_refusals_are_kvqs(package_dir, source_dir, tmp_path):
    done = decode(package_dir, source_dir, tmp_path / "absent")
    assert done.returncode == 1 and "kvq.Error" in done.stderr and "absent" in done.stderr.splitlines()[-1]
