"""How lit runs the tests of this folder; CMake's lit.site.cfg.py loads it.

Features: ptxas, nvdisasm, gpu (a CUDA device answers), asan, and the name of every program that is built: `REQUIRES: kvqc`.
KVQ_ROUNDTRIP=1 in the environment adds --verify-roundtrip to every run of kvq-opt and kvq-test-opt.
"""

import os
import shutil
import subprocess

import lit.formats

config.name = "kvq"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "lib", "Install", "Unit", "Python", "Style", "CMakeLists.txt"]
config.test_source_root = os.path.join(config.kvq_source_dir, "test")
config.test_exec_root = os.path.join(config.kvq_build_dir, "test")

bin_dir = os.path.join(config.kvq_build_dir, "bin")
search = [bin_dir, config.llvm_tools_dir]
search += [os.path.dirname(tool) for tool in (config.ptxas, config.nvdisasm) if os.path.exists(tool)]
config.environment["PATH"] = os.pathsep.join(search + [config.environment.get("PATH", "")])
for line in config.test_environment.split():
    name, _, value = line.partition("=")
    config.environment[name] = value
for name in ("CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "HOME"):
    if name in os.environ:
        config.environment[name] = os.environ[name]


def has_cuda_device():
    """Whether the driver lists a device."""
    tool = shutil.which("nvidia-smi")
    if not tool:
        return False
    try:
        return "GPU" in subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False


for feature, present in (
    ("ptxas", os.path.exists(config.ptxas)),
    ("nvdisasm", os.path.exists(config.nvdisasm)),
    ("gpu", has_cuda_device()),
    ("asan", "address" in config.sanitize),
):
    if present:
        config.available_features.add(feature)

roundtrip = " --verify-roundtrip" if os.environ.get("KVQ_ROUNDTRIP", "") not in ("", "0") else ""
start = r"(?<![-\w./%=])"
end = r"(?![-\w./])"
for tool in ("kvq-opt", "kvq-test-opt", "kvqc", "kvq-lsp-server"):
    path = os.path.join(bin_dir, tool)
    if os.path.exists(path):
        config.available_features.add(tool)
    config.substitutions.append((f"{start}{tool}{end}", path + (roundtrip if tool.endswith("opt") else "")))
for tool in ("FileCheck", "not", "split-file", "llvm-objdump", "llvm-readelf", "llvm-nm", "llvm-mc", "mlir-opt", "mlir-translate"):
    config.substitutions.append((f"{start}{tool}{end}", os.path.join(config.llvm_tools_dir, tool)))
config.substitutions += [
    ("%python", config.python),
    ("%ptxas", config.ptxas),
    ("%nvdisasm", config.nvdisasm),
    ("%cxx", config.cxx),
    ("%inputs", os.path.join(config.test_source_root, "Inputs")),
    ("%llvm_tools", config.llvm_tools_dir),
    ("%kvq_build", config.kvq_build_dir),
]
