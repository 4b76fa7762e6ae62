"""Fixtures of every pytest file. Paths come from CTest by the environment, or are the release build's where pytest runs by itself."""

import importlib
import os
import pathlib
import sys

import pytest

SOURCE = pathlib.Path(__file__).resolve().parent.parent
# Where pytest runs by itself: no compile cache, as CTest sets it.
os.environ["KVQ_CACHE_DIR"] = ""


def pytest_collection_modifyitems(config, items):
    """With KVQ_TEST_GPU=1: of test/Execution the tests of chips whose kernels this machine's GPU runs, on it; of other folders all."""
    if os.environ.get("KVQ_TEST_GPU") != "1":
        return
    folder, dropped = SOURCE / "test" / "Execution", []
    for item in items:
        if item.path.is_relative_to(folder):
            import gpu

            if not (hasattr(item, "callspec") and gpu.runs(item.callspec.params.get("chip", "host"))):
                dropped.append(item)
    config.hook.pytest_deselected(items=dropped)
    items[:] = [item for item in items if item not in dropped]


@pytest.fixture(scope="session")
def source_dir():
    """The root of the repository."""
    return SOURCE


@pytest.fixture(scope="session")
def build_dir():
    """The build folder under test."""
    return pathlib.Path(os.environ.get("KVQ_BUILD_DIR", SOURCE / "build" / "release"))


@pytest.fixture(scope="session")
def bin_dir(build_dir):
    """The folder of the programs under test."""
    return build_dir / "bin"


@pytest.fixture(scope="session")
def llvm_tools_dir():
    """The folder of LLVM's programs."""
    return pathlib.Path(os.environ.get("KVQ_LLVM_TOOLS_DIR", "/usr/lib/llvm-22/bin"))


@pytest.fixture(scope="session")
def kvqc(bin_dir):
    """The driver under test; skips where it is not built."""
    return _program(bin_dir / "kvqc")


@pytest.fixture(scope="session")
def kvq_opt(bin_dir):
    """The optimiser under test; skips where it is not built."""
    return _program(bin_dir / "kvq-opt")


@pytest.fixture(scope="session")
def package_dir(build_dir):
    """The folder to import the Python package from; skips where it is not built."""
    folder = build_dir / "python"
    if not list(folder.glob("kvq/_compiler*.so")):
        pytest.skip("the Python package is not built")
    return folder


@pytest.fixture(scope="session")
def kvq(package_dir):
    """The Python package under test."""
    sys.path.insert(0, str(package_dir))
    return importlib.import_module("kvq")


@pytest.fixture(scope="session")
def checkpoints_dir():
    """The checkpoints in the repository."""
    return SOURCE / "test" / "Inputs" / "checkpoints"


@pytest.fixture(scope="session")
def shared_data_dir():
    """Real checkpoint files that a developer may have beside the repository; skips where there are none."""
    path = SOURCE.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("no folder shared/data beside the repository")
    return path


@pytest.fixture(scope="session")
def ptxas():
    """CUDA's assembler; skips where there is none."""
    return _program(pathlib.Path(os.environ.get("KVQ_PTXAS", "ptxas-not-found")))


@pytest.fixture(scope="session")
def nvdisasm():
    """CUDA's disassembler; skips where there is none."""
    return _program(pathlib.Path(os.environ.get("KVQ_NVDISASM", "nvdisasm-not-found")))


def _program(path):
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    return path
