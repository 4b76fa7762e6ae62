"""Runs kernels on this machine: the host's own, and those in the NVVM and ROCDL dialects as kvq-test-opt emulates them or its GPU runs them."""

import ctypes
import os
import subprocess

import gpu
import numpy as np
import pytest
from chips import BACKENDS, is_fnuz
from formulas import FORMATS, SOURCES, cache_format
from manifests import manifest_of, size_of


def sample(values, step):
    """All values; every step-th where a sanitizer slows the compiler: kernels are not instrumented, and give what they give without."""
    return values[::step] if "ASAN_OPTIONS" in os.environ else values


def dtype_of(name):
    """The kv_cache_dtype and whether fnuz formats are meant, of an FP8 format."""
    return ("fp8_e5m2" if "E5M2" in name else "fp8"), name.endswith("FNUZ")


def supported(of_scales, fnuz):
    """Those scales that resolution can give: on a fnuz chip the doubles of float32 numbers."""
    of_scales = np.asarray(of_scales, np.float32)
    return of_scales[(of_scales / 2) * 2 == of_scales] if fnuz else of_scales


def in_pairs(of_scales):
    """Pairs of a K and a V scale that hold all of `of_scales`."""
    padded = np.concatenate([of_scales, of_scales[: len(of_scales) % 2]])
    return [(np.float32(k), np.float32(v)) for k, v in padded.reshape(-1, 2)]


def reference_library(build_dir):
    """The functions that follow the ISA manuals."""
    library = ctypes.CDLL(str(build_dir / "lib" / "libkvq-isa-reference.so"))
    library.kvq_isa_table.restype = ctypes.c_void_p
    return library


def build(build_dir, folder, text, pipeline, emulated):
    """The shared object of an MLIR module after `pipeline`."""
    if emulated and gpu.is_asked_for():
        pytest.skip("kernels that kvqc does not compile are not launched on a GPU")
    source, target = folder / "kernels.mlir", folder / "kernels.so"
    source.write_text(text)
    passes = [f"--{pipeline}", *(["--kvq-test-emulate-gpu"] if emulated else []), f"--kvq-test-write-shared-object=file={target}"]
    done = subprocess.run([build_dir / "bin" / "kvq-test-opt", source, *passes, "-o", "/dev/null"], capture_output=True, text=True)
    errors = [line[:400] for line in done.stderr.splitlines() if "error:" in line]
    assert done.returncode == 0, "\n".join(errors) or done.stderr[-2000:]
    library = ctypes.CDLL(str(target))
    if emulated:
        library.kvq_bind_isa(ctypes.c_void_p(reference_library(build_dir).kvq_isa_table()))
    return library


def compile_described(kvqc, folder, text, chip, options):
    """The manifest of a module's kernels for `chip`, in a directory beside it; options are kvqc's without their dashes."""
    (folder / "kernels.mlir").write_text(text)
    command = [kvqc, "compile", folder / "kernels.mlir", "-o", folder / "out", "--target", chip, *(f"--{option}" for option in options)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return manifest_of(folder / "out")


def build_described(build_dir, kvqc, folder, text, chip, options, fnuz=False):
    """A module's kernels as `chip` runs them, and the manifest that describes them; `options` are 'name=value'."""
    on_host = BACKENDS[chip] == "host"
    stands_in = fnuz and on_host
    manifest = compile_described(kvqc, folder, text, chip, [*options, *(["fnuz"] if stands_in else [])])
    if gpu.runs(chip):
        return gpu.Kernels(build_dir, folder / "out", manifest), manifest
    pass_options = " ".join([f"chip={chip}", *options, *(["fnuz=true"] if stands_in else [])])
    return build(build_dir, folder, text, f"kvq-to-{BACKENDS[chip]}={pass_options}", not on_host), manifest


def run_described(library, kernel, emulated, values, extra_blocks=0):
    """Runs a kernel as its entry in a manifest says, with arguments by name (arrays and numbers), those of the entry and no others."""
    assert {argument["name"] for argument in kernel["args"]} == set(values)
    if isinstance(library, gpu.Kernels):
        library.run(kernel["symbol"], [values[argument["name"]] for argument in kernel["args"]])
        return
    arguments = []
    for argument in kernel["args"]:
        value = values[argument["name"]]
        if argument["type"] == "ptr":
            address = 0 if value is None else value.ctypes.data
            assert address % argument["align"] == 0, argument
            arguments.append(ctypes.c_void_p(address))
        else:
            assert value % argument.get("divisible", 1) == 0, argument
            arguments.append(ctypes.c_int64(value))
    if emulated:
        assert kernel["grid"][1:] == [1, 1]
        arguments.append(ctypes.c_int64(size_of(kernel["grid"][0], values) + extra_blocks))
    function = getattr(library, kernel["symbol"])
    function.restype = None
    function(*arguments)


class Kernels:
    """Store and load kernels of one geometry for pairs of a K and a V scale."""

    def __init__(
        self,
        build_dir,
        folder,
        chip,
        source,
        cache,
        pairs,
        heads=8,
        head_size=128,
        block_size=16,
        bounds="check",
        scales="fold",
        align=16,
        fnuz=False,
    ):
        self.source, self.cache, self.heads, self.head_size, self.block_size = source, cache, heads, head_size, block_size
        self.bounds, self.scales, self.align = bounds, scales, align
        self.emulated = BACKENDS[chip] != "host"
        fnuz = fnuz or is_fnuz(chip)
        self.element = source if cache == "auto" else cache_format(cache, fnuz)
        layers = []
        for index, (k, v) in enumerate(pairs):
            k, v = (k / 2, v / 2) if fnuz else (k, v)
            layers.append(
                f"kvq.attention @layer{index} index {index} geometry <heads = {heads}, kv_heads = {heads}, head_size = {head_size}> "
                f"source {source} cache {cache} checkpoint(q = 1.0, k = {k:.9e}, v = {v:.9e}, prob = 1.0)"
            )
        text, options = "\n".join(layers) + "\n", [f"block-size={block_size}", f"bounds={bounds}", f"scales={scales}", f"align={align}"]
        if gpu.runs(chip):
            manifest = compile_described(build_dir / "bin" / "kvqc", folder, text, chip, options)
            self.library = gpu.Kernels(build_dir, folder / "out", manifest)
            return
        passes = " ".join([f"chip={chip}", *options, *(["fnuz=true"] if fnuz and not self.emulated else [])])
        self.library = build(build_dir, folder, text, f"kvq-to-{BACKENDS[chip]}={passes}", self.emulated)

    def versions(self):
        """Makes the kernels run in each of the versions that this CPU can choose: for the host's baseline, and with its wider vectors."""
        try:
            wide = ctypes.c_int8.in_dll(self.library, "kvq_wide_vectors")
        except ValueError:
            yield "only"
            return
        chosen = wide.value
        for value in range(chosen + 1):
            wide.value = value
            yield "wide" if value else "baseline"
        wide.value = chosen

    @property
    def source_type(self):
        """The numpy type of keys and values."""
        return SOURCES[self.source]

    @property
    def cache_type(self):
        """The numpy type of the cache."""
        return FORMATS.get(self.element, self.source_type)

    def symbol(self, op, pair):
        """The name of the kernel for a pair of scales."""
        name = f"kvq_{op}_nhd_{self.source}_{self.element}_h{self.heads}_d{self.head_size}_b{self.block_size}"
        name += f"_align{self.align}" if self.align != 16 else ""
        name += f"_{self.bounds}" if self.bounds != "check" else ""
        if self.scales == "argument" and self.cache != "auto":
            return name + "_dynamic"
        return name + ("" if self.cache == "auto" else "".join(f"_{np.float32(scale).view(np.uint32):08x}" for scale in pair))

    def run(self, op, pair, key, value, key_cache, value_cache, slots, num_blocks=None, num_tokens=None, grid=None, out_of_range=None):
        """Runs a kernel on arrays: rows [tokens, heads, size], caches [blocks, rows, heads, size] of any strides."""
        num_tokens = len(slots) if num_tokens is None else num_tokens
        strides = [array.strides[0] // array.itemsize for array in (key, value)]
        for array in (key_cache, value_cache):
            strides += [stride // array.itemsize for stride in array.strides[:3]]
        values = [key, value, key_cache, value_cache, slots, num_tokens, len(key_cache) if num_blocks is None else num_blocks, *strides]
        if self.bounds == "count":
            values.append(out_of_range)
        if self.scales == "argument" and self.cache != "auto":
            values += list(np.array(pair, np.float32).reshape(2, 1))
        if isinstance(self.library, gpu.Kernels):
            self.library.run(self.symbol(op, pair), values)
            return
        arguments = [ctypes.c_void_p(value.ctypes.data) if isinstance(value, np.ndarray) else ctypes.c_int64(value) for value in values]
        if self.emulated:
            # Eight blocks a token are enough for the longest rows; what is too many has to do nothing.
            arguments.append(ctypes.c_int64((num_tokens + 1) * 8 if grid is None else grid))
        function = getattr(self.library, self.symbol(op, pair))
        function.restype = None
        function(*arguments)
