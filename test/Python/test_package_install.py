"""pip installs the package into a clean environment, from the folder with pyproject.toml, and what it has there works by itself."""

import os
import pathlib
import subprocess
import sys

import pytest

USE = """
import pathlib, sys
import kvq
assert pathlib.Path(kvq.__file__).is_relative_to(sys.prefix), kvq.__file__
kvq.compile(sys.argv[1], "out", targets=["host", "sm_90"])
assert kvq.inspect(sys.argv[1])["schema"] == "kvq.inspect/1"
assert "kvq.attention" in kvq.ir.load(sys.argv[1])
print(kvq.__version__)
"""


def test_pip_install(package_dir, build_dir, source_dir, checkpoints_dir, tmp_path):
    """Built with the tests' own nanobind and scikit-build-core: nothing is downloaded. ccache has what the build under test compiled."""
    pytest.importorskip("scikit_build_core")
    tools = next(path for path in sys.path if (pathlib.Path(path) / "scikit_build_core").is_dir())
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    cached = {"CC": "clang-22", "CXX": "clang++-22", "CMAKE_CXX_COMPILER_LAUNCHER": "ccache", "CCACHE_BASEDIR": source_dir, "CCACHE_NOHASHDIR": "1"}
    folder = build_dir.parent / "wheel"
    command = [python, "-m", "pip", "install", "--no-index", "--no-build-isolation", f"--config-settings=build-dir={folder}", source_dir / "python"]
    options = dict(os.environ, PYTHONPATH=tools, CMAKE_GENERATOR="Ninja", PIP_DISABLE_PIP_VERSION_CHECK="1") | cached
    done = subprocess.run(command, env={name: str(value) for name, value in options.items()}, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]

    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([python, "-c", USE, checkpoints_dir / "llama-ct"], env=clean, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"project(kvq VERSION {done.stdout.strip()} " in (source_dir / "CMakeLists.txt").read_text()
    [installed] = environment.glob("lib/python3*/site-packages/kvq")
    names = {path.name for path in installed.iterdir()}
    assert {"py.typed", "_compiler.pyi", "__init__.py", "ir.py"} <= names
    assert {path.name for path in (source_dir / "python" / "src" / "kvq").glob("*.py")} <= names
