"""This machine's NVIDIA GPU in the place of the emulation, where KVQ_TEST_GPU=1 asks for it: kvq's runtime launches on copies of arrays."""

import contextlib
import ctypes
import functools
import os
import re
import sys
from ctypes import byref, c_int, c_size_t, c_uint64, c_void_p

import numpy as np
from chips import BACKENDS
from conftest import SOURCE

sys.path.insert(0, str(SOURCE / "test" / "Runtime"))
from runtime import ALLOW_PTX, CUDA, Runtime  # noqa: E402

COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR = 75, 76
# What cuMemAlloc aligns to: a copy lies there as its array does in the host's memory.
ALIGNMENT = 256
CHUNK = 1 << 26


class Driver:
    """libcuda, in the primary context of device 0, which the runtime takes too."""

    def __init__(self):
        self.library = ctypes.CDLL("libcuda.so.1")
        self.call("cuInit", 0)
        device, context = c_int(), c_void_p()
        self.call("cuDeviceGet", byref(device), 0)
        self.call("cuDevicePrimaryCtxRetain", byref(context), device)
        self.call("cuCtxSetCurrent", context)
        major, minor = c_int(), c_int()
        self.call("cuDeviceGetAttribute", byref(major), COMPUTE_CAPABILITY_MAJOR, device)
        self.call("cuDeviceGetAttribute", byref(minor), COMPUTE_CAPABILITY_MINOR, device)
        self.capability = 10 * major.value + minor.value

    def call(self, name, *arguments):
        code = getattr(self.library, name)(*arguments)
        assert code == 0, f"{name}: error {code} of the driver"

    @contextlib.contextmanager
    def memory(self, size):
        """The address of `size` bytes."""
        address = c_uint64()
        self.call("cuMemAlloc_v2", byref(address), c_size_t(size))
        try:
            yield address.value
        finally:
            self.call("cuMemFree_v2", address)


@functools.cache
def driver():
    return Driver()


def is_asked_for():
    """Whether kernels are to be launched rather than emulated."""
    return os.environ.get("KVQ_TEST_GPU") == "1"


def runs(chip):
    """Whether the kernels of a chip run on the GPU: its own, and by PTX those of chips before it."""
    if not is_asked_for() or BACKENDS[chip] != "nvvm":
        return False
    number, suffix = re.fullmatch(r"sm_(\d+)([a-z]?)", chip).groups()
    return int(number) == driver().capability or (int(number) < driver().capability and not suffix)


def whole_of(array):
    """The array that owns the memory of a view."""
    whole = array
    while (array := getattr(array, "base", None)) is not None:
        whole = array if isinstance(array, np.ndarray) else whole
    return whole


def bring_back(array, address):
    """Copies what is at `address` into an array; what did not change is not written, so that files with holes keep them."""
    host = array.reshape(-1, copy=False).view(np.uint8)
    for first in range(0, len(host), CHUNK):
        part = host[first : first + CHUNK]
        found = np.empty_like(part)
        driver().call("cuMemcpyDtoH_v2", c_void_p(found.ctypes.data), c_uint64(address + first), c_size_t(len(part)))
        if not np.array_equal(found, part):
            part[...] = found


class Kernels:
    """The kernels of a compiled directory, called with arrays and numbers."""

    def __init__(self, build_dir, directory, manifest):
        self.runtime, self.closing = Runtime(build_dir), contextlib.ExitStack()
        driver()
        self.artefact = self.closing.enter_context(self.runtime.open(directory, CUDA, ALLOW_PTX))
        self.places = {}
        for layer in manifest["layers"]:
            for of_layer in layer["kernels"].values():
                self.places |= {symbol: (layer["name"], op) for op, symbol in of_layer.items()}

    def __del__(self):
        self.closing.close()

    def run(self, symbol, values):
        """Launches a kernel with its arguments in order; arrays have its results when this returns."""
        wholes = {}
        for value in values:
            if isinstance(value, np.ndarray):
                whole = whole_of(value)
                wholes[whole.ctypes.data] = whole
        with contextlib.ExitStack() as stack:
            copies = {}
            for start, whole in wholes.items():
                offset = start % ALIGNMENT
                copies[start] = stack.enter_context(driver().memory(offset + whole.nbytes)) + offset
                driver().call("cuMemcpyHtoD_v2", c_uint64(copies[start]), c_void_p(start), c_size_t(whole.nbytes))
            addresses = []
            for value in values:
                if isinstance(value, np.ndarray):
                    start = whole_of(value).ctypes.data
                    value = copies[start] + value.ctypes.data - start
                addresses.append(0 if value is None else int(value))
            self.runtime.launch(self.runtime.find(self.artefact, *self.places[symbol]), addresses)
            driver().call("cuCtxSynchronize")
            for start, whole in wholes.items():
                bring_back(whole, copies[start])
