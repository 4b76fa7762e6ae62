"""libkvq_runtime by ctypes, and the stand-ins for drivers: what a program in another language has of the C interface."""

import contextlib
import ctypes
import os
from ctypes import byref, c_char, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_void_p

HOST, CUDA, HIP = 1, 2, 3
ALLOW_PTX = 1


class Error(ctypes.Structure):
    _fields_ = [("status", c_int32), ("driver_code", c_int32), ("message", c_char * 2040)]


class OpenOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("device_kind", c_int32), ("ordinal", c_int32), ("flags", c_uint32), ("target", c_char_p)]


class ArgumentInfo(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("type", c_int32),
        ("align", c_int64),
        ("divisible", c_int64),
        ("nullable", c_int32),
    ]


class Plan(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("symbol", c_char_p),
        ("function", c_void_p),
        ("grid", c_uint32 * 3),
        ("block", c_uint32 * 3),
        ("shared_bytes", c_uint32),
    ]


class RuntimeFailure(Exception):
    """What a function of the runtime failed with."""


def stand_in(build_dir, name):
    """The path of a stand-in for a driver: 'cuda' or 'hip'."""
    return build_dir / "lib" / f"libkvq-stand-in-{name}.so"


@contextlib.contextmanager
def drivers(**libraries):
    """Has the runtime use these driver libraries, by 'cuda' and 'hip'; none for those that are not named."""
    names = [f"KVQ_{name.upper()}_LIBRARY" for name in ("cuda", "hip")]
    before = {name: os.environ.get(name) for name in names}
    for name in ("cuda", "hip"):
        os.environ[f"KVQ_{name.upper()}_LIBRARY"] = str(libraries.get(name, "/no-such-library"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


class Runtime:
    """The shared library."""

    def __init__(self, build_dir):
        self.library = ctypes.CDLL(str(build_dir / "lib" / "libkvq_runtime.so"))

    def call(self, name, *arguments):
        error = Error()
        if getattr(self.library, name)(*arguments, byref(error)):
            raise RuntimeFailure(error.message.decode())

    @contextlib.contextmanager
    def open(self, directory, kind, flags=0):
        """An opened artefact's handle."""
        options = OpenOptions(ctypes.sizeof(OpenOptions), kind, -1, flags, None)
        artefact = c_void_p()
        self.call("kvq_open", c_char_p(os.fsencode(directory)), byref(options), byref(artefact))
        try:
            yield artefact
        finally:
            self.library.kvq_close(artefact)

    def find(self, artefact, layer, op):
        """A kernel's handle."""
        kernel = c_void_p()
        self.call("kvq_kernel_find", artefact, c_char_p(layer.encode()), c_char_p(op.encode()), None, byref(kernel))
        return kernel

    def argument(self, kernel, index):
        info = ArgumentInfo(ctypes.sizeof(ArgumentInfo))
        self.call("kvq_kernel_argument", kernel, c_size_t(index), byref(info))
        return info

    def plan(self, kernel, values):
        plan = Plan(ctypes.sizeof(Plan))
        self.call("kvq_kernel_plan", kernel, (c_int64 * len(values))(*values), c_size_t(len(values)), byref(plan))
        return plan

    def launch(self, kernel, values, stream=None):
        self.call("kvq_kernel_launch", kernel, (c_int64 * len(values))(*values), c_size_t(len(values)), c_void_p(stream))
