"""Times NVRTC, in this process, on the store and the load kernel and prints JSON; benchmarks/run starts it.

Usage: time_nvrtc.py RUNS ARCH KIND [OPTION...]     KIND is ptx or cubin; OPTIONs go to the compiler
"""

import ctypes
import json
import os
import pathlib
import sys
import time

SOURCE = pathlib.Path(__file__).parent / "kernels.cu"


def toolkit_folders():
    """Where a CUDA toolkit may be: the usual variables, the usual place, the wheels of this Python."""
    named = [os.environ.get(name) for name in ("KVQ_CUDA_PATH", "CUDA_HOME", "CUDA_PATH")]
    wheels = [pathlib.Path(folder) / "nvidia" / "cu13" for folder in sys.path if folder]
    return [pathlib.Path(folder) for folder in [*named, "/usr/local/cuda", *wheels] if folder]


def load_library():
    """NVRTC and the folder of the headers beside it, or an exit with a message."""
    for folder in toolkit_folders():
        for name in ("lib64/libnvrtc.so", "lib/libnvrtc.so.13"):
            if (folder / name).exists():
                return ctypes.CDLL(str(folder / name)), folder / "include"
    sys.exit("error: expected NVRTC in a CUDA toolkit or in the wheel 'nvidia-cuda-nvrtc', but found none")


class Nvrtc:
    """The few functions of NVRTC that a compilation needs."""

    def __init__(self):
        self.library, self.include = load_library()
        self.library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def call(self, name, *arguments):
        status = getattr(self.library, name)(*arguments)
        if status:
            raise RuntimeError(f"{name}: {self.library.nvrtcGetErrorString(status).decode()}")

    def version(self):
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        return f"{major.value}.{minor.value}"

    def compile(self, source, options, kind):
        """The bytes of `kind`, 'PTX' or 'CUBIN'."""
        program, size = ctypes.c_void_p(), ctypes.c_size_t()
        self.call("nvrtcCreateProgram", ctypes.byref(program), source, b"kernels.cu", 0, None, None)
        arguments = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        try:
            self.call("nvrtcCompileProgram", program, len(options), arguments)
        except RuntimeError as error:
            self.call("nvrtcGetProgramLogSize", program, ctypes.byref(size))
            log = ctypes.create_string_buffer(size.value)
            self.call("nvrtcGetProgramLog", program, log)
            sys.exit(f"error: {error}: {log.value.decode()}")
        self.call(f"nvrtcGet{kind}Size", program, ctypes.byref(size))
        data = ctypes.create_string_buffer(size.value)
        self.call(f"nvrtcGet{kind}", program, data)
        self.call("nvrtcDestroyProgram", ctypes.byref(program))
        return data.raw


def main():
    runs, arch, kind, extra = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    start = time.perf_counter()
    nvrtc = Nvrtc()
    loaded = time.perf_counter() - start
    source = SOURCE.read_bytes()
    gpu = arch if kind == "cubin" else arch.replace("sm_", "compute_")
    fixed = [f"--gpu-architecture={gpu}", f"--include-path={nvrtc.include}", *extra]
    seconds = []
    for run in range(runs + 1):
        start = time.perf_counter()
        scales = [f"-DK_SCALE={0.023 + run * 1e-4:.6f}f", f"-DV_SCALE={0.031 + run * 1e-4:.6f}f"]
        assert nvrtc.compile(source, fixed + scales, kind.upper())
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"version": nvrtc.version(), "load": loaded, "first": seconds[0], "next": seconds[1:]}))


if __name__ == "__main__":
    main()
