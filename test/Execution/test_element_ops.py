"""kvq.quantize and kvq.dequantize in hand-written kernels: every format on every kind of chip, scalars and vectors of any length, executed."""

import ctypes

import numpy as np
import pytest
from chips import BACKENDS, EMULATED, is_fnuz, representatives
from formulas import FORMATS, SOURCES, differences, load, store
from kernels import build, sample

CHIPS = sample([chip for chip in representatives() if chip in EMULATED], 3)
SHAPES = {"scalar": (), "v1": (1,), "v2": (2,), "v3": (3,), "v5": (5,), "v8": (8,), "v2x4": (2, 4)}
SCALE = np.float32(0.0230712890625)
THREADS = 64

KERNEL = """
  gpu.func @{op}_{shape}_{format}(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>) kernel attributes {{known_block_size = array<i32: {threads}, 1, 1>}} {{
    %thread = gpu.thread_id x
    %block = gpu.block_id x
    %size = arith.constant {threads} : index
    %first = arith.muli %block, %size : index
    %index = arith.addi %first, %thread : index
    %length = arith.constant {length} : i64
    %number = arith.index_cast %index : index to i64
    %offset = arith.muli %number, %length : i64
    %from = llvm.getelementptr %in[%offset] : (!llvm.ptr<1>, i64) -> !llvm.ptr<1>, {load_bits}
    %to = llvm.getelementptr %out[%offset] : (!llvm.ptr<1>, i64) -> !llvm.ptr<1>, {store_bits}
    %bits = llvm.load %from {{alignment = 1 : i64}} : !llvm.ptr<1> -> {flat_load_bits}
    {shape_in}
    %values = arith.bitcast %shaped : {shaped_load_bits} to {load_type}
    %scale = kvq.scale @layer, k
    %converted = kvq.{op} %values, %scale : {load_type} to {store_type}
    %codes = arith.bitcast %converted : {store_type} to {shaped_store_bits}
    {shape_out}
    llvm.store %result, %to {{alignment = 1 : i64}} : {flat_store_bits}, !llvm.ptr<1>
    gpu.return
  }}"""


def kernel(op, source, name, shape_name):
    """A kernel of which each thread converts one scalar or vector."""
    shape = SHAPES[shape_name]
    length = int(np.prod(shape))
    sides = (source, name) if op == "quantize" else (name, source)

    def flat(element):
        return element if not shape else f"vector<{length}x{element}>"

    def shaped(element):
        return element if not shape else f"vector<{'x'.join(map(str, shape))}x{element}>"

    def bits(element):
        return f"i{8 * np.dtype({**FORMATS, **SOURCES}[element]).itemsize}"

    def cast(result, value, before, after):
        if before == after:
            return f"%{result} = arith.bitcast %{value} : {before} to {after}"
        return f"%{result} = vector.shape_cast %{value} : {before} to {after}"

    return KERNEL.format(
        op=op,
        shape=shape_name,
        format=name,
        threads=THREADS,
        length=length,
        load_bits=bits(sides[0]),
        store_bits=bits(sides[1]),
        flat_load_bits=flat(bits(sides[0])),
        flat_store_bits=flat(bits(sides[1])),
        shaped_load_bits=shaped(bits(sides[0])),
        shaped_store_bits=shaped(bits(sides[1])),
        load_type=shaped(sides[0]),
        store_type=shaped(sides[1]),
        shape_in=cast("shaped", "bits", flat(bits(sides[0])), shaped(bits(sides[0]))),
        shape_out=cast("result", "codes", shaped(bits(sides[1])), flat(bits(sides[1]))),
    )


def run(library, symbol, inputs, output_type, length):
    """The kernel's results for `inputs`, repeated to whole blocks."""
    inputs = np.resize(inputs, -(-len(inputs) // (length * THREADS)) * length * THREADS)
    outputs = np.zeros(len(inputs), output_type)
    function = getattr(library, symbol)
    function.restype = None
    grid = len(inputs) // (length * THREADS)
    function(ctypes.c_void_p(inputs.ctypes.data), ctypes.c_void_p(outputs.ctypes.data), ctypes.c_int64(grid))
    return inputs, outputs


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("chip", CHIPS)
def test_every_shape(build_dir, tmp_path, chip, source):
    # A fnuz chip doubles the checkpoint's scale.
    raw = SCALE / 2 if is_fnuz(chip) else SCALE
    layer = f"  kvq.attention @layer index 0 cache fp8 checkpoint(q = 1.0, k = {raw:.9e}, v = 1.0, prob = 1.0)"
    functions = [kernel(op, source, name, shape) for op in ("quantize", "dequantize") for name in FORMATS for shape in SHAPES]
    text = "\n".join(["gpu.module @kernels {", layer, *functions, "}\n"])
    library = build(build_dir, tmp_path, text, f"kvq-to-{BACKENDS[chip]}=chip={chip}", emulated=True)
    codes = np.arange(256, dtype=np.uint8)
    values = np.arange(65536, dtype=np.uint32).astype(np.uint16)
    if source == "f32":
        values = (values.astype(np.uint32) << 16) + np.random.default_rng(43).integers(0, 65536, 65536, dtype=np.uint32)
    values = values.view(SOURCES[source])
    for name, cache_type in FORMATS.items():
        for shape_name, shape in SHAPES.items():
            length = int(np.prod(shape))
            inputs, outputs = run(library, f"quantize_{shape_name}_{name}", values, np.uint8, length)
            assert differences(outputs.view(cache_type), store(inputs, SCALE, cache_type)) == 0, (name, shape_name)
            inputs, outputs = run(library, f"dequantize_{shape_name}_{name}", codes, SOURCES[source], length)
            assert differences(outputs, load(inputs.view(cache_type), SCALE, SOURCES[source])) == 0, (name, shape_name)
