"""Every operation on every layout, on the host and as each sort of chip, against numpy and ml_dtypes; arguments and grids are the manifest's."""

import ml_dtypes
import numpy as np
import pytest
from cases import GEOMETRIES, OPS, ROW_OPS
from chips import BACKENDS, is_fnuz, max_access_bytes, representatives
from formulas import FORMATS, SOURCES, cache_format, differences, load, store
from kernels import build_described, run_described, sample
from layouts import LAYOUTS, Places

CHIPS = sample(representatives(), 4)
SCALES = {"q": np.float32(0.5), "k": np.float32(0.0230712890625), "v": np.float32(1.5), "prob": np.float32(0.031)}
OLD_SCALES = {"k": np.float32(0.75), "v": np.float32(0.011)}
CONSTANTS = {"q": np.float32(200), "k": np.float32(100), "v": np.float32(7)}
PARTNERS = {"f8E4M3FN": "f8E4M3FNUZ", "f8E4M3FNUZ": "f8E4M3FN", "f8E5M2": "f8E5M2FNUZ", "f8E5M2FNUZ": "f8E5M2"}
GUARD = 0xA5

# Chips, one of each sort, that need accesses of 32 bytes aligned.
WIDE = [chip for chip in representatives() if BACKENDS[chip] != "host" and max_access_bytes(chip) == 32]

CASES = [(layout, index) for layout in GEOMETRIES for index in range(2)]


def aligned(count, dtype):
    """Guard bytes at a multiple of 64 bytes, as an array."""
    whole = np.full(count * np.dtype(dtype).itemsize + 64, GUARD, np.uint8)
    # A slice of nothing that begins elsewhere would keep the old address.
    return whole[-whole.ctypes.data % 64 :][: count * np.dtype(dtype).itemsize].view(dtype)


def scale_text(scale):
    """A raw scale in IR."""
    if scale.size == 1:
        return f"{scale.item():.9e}"
    return f"dense<[{', '.join(f'{number:.9e}' for number in scale.ravel())}]> : tensor<{scale.size}xf32>"


class Operations:
    """The kernels of one layer on one chip."""

    def __init__(self, build_dir, kvqc, folder, chip, layout, geometry, source, dtype, ops, fnuz=False, options=(), num_q_heads=4, head_scales=None):
        self.chip, self.layout, self.source, self.dtype = chip, layout, SOURCES[source], dtype
        self.heads, self.size, self.rank, self.rows = geometry
        self.q_heads = self.heads * num_q_heads
        self.fnuz = fnuz or is_fnuz(chip)
        self.element = source if dtype == "auto" else cache_format(dtype, self.fnuz)
        factor = 2 if self.fnuz else 1
        # A scale for each head is an array [heads, 1].
        self.scales = SCALES | (head_scales or {})
        raw = ", ".join(f"{name} = {scale_text(scale / factor)}" for name, scale in self.scales.items())
        ranks = f", kv_lora_rank = {self.rank}, qk_rope_head_dim = {self.size - self.rank}" if self.rank else ""
        order = LAYOUTS[layout][0] if layout in LAYOUTS else layout
        text = (
            f"kvq.attention @layer index 0 geometry <heads = {self.q_heads}, kv_heads = {self.heads}, head_size = {self.size}{ranks}> "
            f"source {source} cache {dtype} layout <{order}> checkpoint({raw})\n"
        )
        constants = [f"{name}-scale-constant={constant}" for name, constant in CONSTANTS.items()]
        common = [f"ops={','.join(ops)}", f"block-size={self.rows}", *constants, *options]
        self.library, manifest = build_described(build_dir, kvqc, folder, text, chip, common, fnuz)
        self.kernels = {kernel["op"]: kernel for kernel in manifest["kernels"]}
        assert list(self.kernels) == list(ops)

    @property
    def cache_type(self):
        return FORMATS.get(self.element, self.source)

    def scale(self, part):
        """The resolved scale of a part."""
        return self.scales["v" if part == 1 and not self.rank else "k"]

    def names(self):
        """Of the parts: rows, and their caches' prefixes."""
        return (["kv_c", "k_pe"], ["kv", "kv"]) if self.rank else (["key", "value"], ["key", "value"])

    def places(self, blocks, dtype, gap=64):
        return Places(self.layout, blocks, self.rows, self.heads, self.size, self.rank, np.dtype(dtype).itemsize, gap)

    def arrays(self, blocks, dtype, gap=64):
        """Places and one array of guard bytes a cache."""
        places = self.places(blocks, dtype, gap)
        first = aligned(places.size, dtype)
        return places, [first, first if places.is_latent else aligned(places.size, dtype)]

    def cache_values(self, places, arrays, prefix=""):
        """Arguments for a cache."""
        values = {}
        for name, array in zip(self.names()[1], arrays, strict=True):
            values[f"{prefix}{name}_cache"] = array
            values |= {f"{prefix}{name}_{stride}_stride": number for stride, number in places.strides.items()}
        return values

    def run(self, op, extra_blocks=0, **values):
        """Runs a kernel with arguments by name, those of the manifest and no others."""
        kernel = self.kernels[op]
        run_described(self.library, kernel, BACKENDS[self.chip] != "host", values, extra_blocks)


def random_bits(random, array):
    """Any bits, all codes among them."""
    raw = array.view(np.uint8)
    raw[...] = random.integers(0, 256, raw.shape, dtype=np.uint8)


def same(actual, expected):
    """Equal but for the payloads of NaN."""
    assert differences(np.ascontiguousarray(actual), np.ascontiguousarray(expected)) == 0


def untouched(arrays, before, touched):
    """That nothing but `touched` indices changed."""
    for index, (array, old) in enumerate(zip(arrays, before, strict=True)):
        rest = np.ones(array.size, bool)
        for part, at in touched:
            if arrays[part] is array:
                rest[at.ravel()] = False
        bits = f"u{array.dtype.itemsize}"
        assert (array.view(bits)[rest] == old.view(bits)[rest]).all(), index


def rows_of(kernels, random, tokens, pad=16):
    """Arrays of rows of each part, and views [tokens, heads, size]."""
    parts = [(1, kernels.rank), (1, kernels.size - kernels.rank)] if kernels.rank else [(kernels.heads, kernels.size)] * 2
    arrays, views, strides = [], [], []
    for heads, size in parts:
        # Rows further apart than they are long, at multiples of 16 bytes.
        stride = -(-(heads * size + pad) // 16) * 16
        array = aligned(tokens * stride, kernels.source)
        random_bits(random, array)
        arrays.append(array)
        views.append(array.reshape(tokens, stride)[:, : heads * size].reshape(tokens, heads, size))
        strides.append(stride)
    return arrays, views, strides


def row_values(kernels, arrays, strides):
    values = {}
    for name, array, stride in zip(kernels.names()[0], arrays, strides, strict=True):
        values |= {name: array, f"{name}_stride": stride}
    return values


def slots_for(random, tokens, blocks, rows, slot_type):
    last = blocks * rows - 1
    slots = np.concatenate([[0, last], 1 + random.permutation(last - 1)])[:tokens].astype(slot_type)
    slots[3::9] = random.choice([-1, -rows, np.iinfo(slot_type).min], len(slots[3::9]))
    slots[5::9] = random.choice([blocks * rows, np.iinfo(slot_type).max], len(slots[5::9]))
    return slots


def check_tokens(kernels, op, random, slots, blocks, valid, arguments, extra_blocks=0):
    """One of store, load and gather: token valid[i] has slot slots[i]."""
    tokens = arguments["num_tokens"]
    places, arrays = kernels.arrays(blocks, kernels.cache_type)
    for array in arrays:
        random_bits(random, array)
    rows, views, strides = rows_of(kernels, random, max(tokens, 1) + 2)
    before, rows_before = [array.copy() for array in arrays], [array.copy() for array in rows]
    views_before = [view.copy() for view in views]
    values = arguments | kernels.cache_values(places, arrays) | row_values(kernels, rows, strides) | {"num_blocks": blocks}
    kernels.run(op, extra_blocks, **values)
    touched, bits = [], f"u{np.dtype(kernels.source).itemsize}"
    for part in range(2):
        at = places.parts[part].reshape(blocks * kernels.rows, *places.parts[part].shape[2:])[slots]
        cached = before[part][at]
        copies = kernels.dtype == "auto"
        if op == "store":
            moved = views_before[part][valid]
            if copies:
                assert (arrays[part][at].view(bits) == moved.view(bits)).all()
            else:
                same(arrays[part][at], store(moved, kernels.scale(part), kernels.cache_type))
            touched.append((part, at))
        else:
            got = np.ascontiguousarray(views[part][valid])
            if copies:
                assert (got.view(bits) == cached.view(bits)).all()
            else:
                same(got, load(cached, kernels.scale(part), kernels.source))
            views[part][valid] = views_before[part][valid]
    untouched(arrays, before, touched)
    for array, old in zip(rows, rows_before, strict=True):
        assert (array.view(bits) == old.view(bits)).all()


def check_slots(kernels, random, slot_type=np.int64, padding=None, count=False):
    blocks, tokens = 5, 4 * kernels.rows
    for op in ("store", "load"):
        slots = slots_for(random, tokens, blocks, kernels.rows, slot_type)
        is_valid = (slots >= 0) & (slots < blocks * kernels.rows)
        beyond = int((slots >= blocks * kernels.rows).sum())
        if padding is not None:
            is_valid &= slots != padding
        valid = np.flatnonzero(is_valid)
        arguments = {"slot_mapping": slots, "num_tokens": tokens}
        counter = np.array([7], np.uint64)
        if count:
            arguments["out_of_range"] = counter
        check_tokens(kernels, op, random, slots[valid].astype(np.int64), blocks, valid, arguments, extra_blocks=3)
        assert counter[0] == 7 + (beyond if count else 0)


def check_gather(kernels, random, starts, count=False):
    """Sequences of all lengths, none among them; tables with blocks and columns that are not there, and tokens beyond the last sequence."""
    rows, blocks, columns = kernels.rows, 9, 4
    lengths = np.array([0, 1, rows, 0, 2 * rows + 1, 3, 0], np.int32)
    firsts = np.array([0, 2, rows + 1, 0, 1, 3 * rows + 1, 0], np.int32) if starts else None
    cu = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    table = random.integers(0, blocks, (len(lengths), columns)).astype(np.int32)
    table[4, 1], table[2, 1] = -3, blocks
    tokens = int(cu[-1]) + 3
    valid, slots, bad = [], [], 0
    for sequence, length in enumerate(lengths):
        for token in range(length):
            page, row = divmod(token + (int(firsts[sequence]) if starts else 0), rows)
            if page >= columns or not 0 <= table[sequence, page] < blocks:
                bad += 1
                continue
            valid.append(int(cu[sequence]) + token)
            slots.append(int(table[sequence, page]) * rows + row)
    assert bad
    counter = np.array([7], np.uint64)
    arguments = {
        "block_table": table,
        "cu_seq_lens": cu,
        "seq_starts": firsts,
        "batch": len(lengths),
        "num_tokens": tokens,
        "block_table_stride": columns,
    }
    if count:
        arguments["out_of_range"] = counter
    check_tokens(kernels, "gather", random, np.array(slots), blocks, np.array(valid), arguments, extra_blocks=2)
    assert counter[0] == 7 + (bad if count else 0)


def transcoded(codes, to):
    """The same number with twice or half the scale, saturated."""
    is_to_fnuz = np.dtype(to) in (np.dtype(FORMATS["f8E4M3FNUZ"]), np.dtype(FORMATS["f8E5M2FNUZ"]))
    return store(codes.astype(np.float32), np.float32(2 if is_to_fnuz else 0.5), to)


def check_whole(kernels, op, random):
    own = kernels.cache_type
    ocp, fnuz = (FORMATS[name] for name in sorted([kernels.element, PARTNERS[kernels.element]], key=len))
    types = {
        "convert": (kernels.source, own),
        "convert_back": (own, kernels.source),
        "transcode_to_ocp": (fnuz, ocp),
        "transcode_to_fnuz": (ocp, fnuz),
        "rescale": (own, own),
    }
    from_type, to_type = types[op]
    for blocks in (3, 0):
        places, arrays = kernels.arrays(blocks, to_type)
        for array in arrays:
            random_bits(random, array)
        values = kernels.cache_values(places, arrays) | {"num_blocks": blocks}
        from_places, from_arrays = (places, arrays)
        if op == "rescale":
            names = ["k"] if kernels.rank else ["k", "v"]
            values |= {f"from_{name}_scale": np.array([OLD_SCALES[name]]) for name in names}
        else:
            from_places, from_arrays = kernels.arrays(blocks, from_type, gap=128)
            for array in from_arrays:
                random_bits(random, array)
            values |= kernels.cache_values(from_places, from_arrays, "from_")
        before, from_before = [array.copy() for array in arrays], [array.copy() for array in from_arrays]
        kernels.run(op, extra_blocks=1, **values)
        touched = []
        for part in range(2):
            read, at = from_before[part][from_places.parts[part]], places.parts[part]
            scale = kernels.scale(part)
            if op == "convert":
                expected = store(read, scale, to_type)
            elif op == "convert_back":
                expected = load(read, scale, to_type)
            elif op == "rescale":
                old = OLD_SCALES["v" if part == 1 and not kernels.rank else "k"]
                expected = store(load(read, old, np.float32), scale, to_type)
            else:
                expected = transcoded(read, to_type)
            same(arrays[part][at], expected)
            touched.append((part, at))
        untouched(arrays, before, touched)


def source_of(index):
    return list(SOURCES)[index % 3]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].replace(' ', '-')}-{case[1]}")
@pytest.mark.parametrize("chip", CHIPS)
def test_every_operation(build_dir, kvqc, tmp_path, chip, case):
    layout, which = case
    number = CHIPS.index(chip) + CASES.index(case)
    source, dtype = source_of(number), ("fp8", "fp8_e5m2")[number // 3 % 2]
    geometry = GEOMETRIES[layout][which]
    kernels = Operations(build_dir, kvqc, tmp_path, chip, layout, geometry, source, dtype, OPS, fnuz=BACKENDS[chip] == "host" and which == 1)
    random = np.random.default_rng(59)
    check_slots(kernels, random)
    check_gather(kernels, random, starts=True)
    check_gather(kernels, random, starts=False)
    for op in OPS[3:]:
        check_whole(kernels, op, random)


@pytest.mark.parametrize("layout", GEOMETRIES, ids=lambda layout: layout.replace(" ", "-"))
@pytest.mark.parametrize("chip", sample(["host", "sm_90", "gfx942"], 2))
def test_copies(build_dir, kvqc, tmp_path, chip, layout):
    """With `auto` bits are copied, NaN payloads too; slots are i32, one of them padding, and bad ones are counted."""
    source = source_of(list(GEOMETRIES).index(layout))
    options = ["slot-type=i32", "padding-slot=0", "bounds=count"]
    kernels = Operations(build_dir, kvqc, tmp_path, chip, layout, GEOMETRIES[layout][0], source, "auto", ["store", "load", "gather"], options=options)
    random = np.random.default_rng(61)
    check_slots(kernels, random, np.int32, padding=0, count=True)
    check_gather(kernels, random, starts=True, count=True)


@pytest.mark.parametrize("layout", GEOMETRIES, ids=lambda layout: layout.replace(" ", "-"))
@pytest.mark.parametrize("chip", sample(WIDE, 2))
def test_32_bytes(build_dir, kvqc, tmp_path, chip, layout):
    """Accesses of 32 bytes, where a chip has them and the geometry allows them."""
    geometry, options = GEOMETRIES[layout][0], ["align=32"]
    source = source_of(WIDE.index(chip) + list(GEOMETRIES).index(layout))
    kernels = Operations(build_dir, kvqc, tmp_path, chip, layout, geometry, source, "fp8", OPS, options=options)
    random = np.random.default_rng(73)
    check_slots(kernels, random)
    check_gather(kernels, random, starts=True)
    for op in OPS[3:]:
        check_whole(kernels, op, random)
    folder = tmp_path / "auto"
    folder.mkdir()
    check_slots(Operations(build_dir, kvqc, folder, chip, layout, geometry, source, "auto", ["store", "load"], options=options), random)


@pytest.mark.parametrize("layout", ["nhd", "paged", "mla_segmented"])
@pytest.mark.parametrize("chip", sample(["host", "sm_90", "gfx942"], 2))
def test_offsets_beyond_32_bits(build_dir, kvqc, tmp_path, chip, layout):
    """Blocks two gibibytes apart, of which only the rows that are touched take memory."""
    kernels = Operations(build_dir, kvqc, tmp_path, chip, layout, GEOMETRIES[layout][0], "bf16", "fp8", ["store", "load"])
    random = np.random.default_rng(71)
    stride, blocks, tokens = 2**31 + 64, 3, 6
    one_block = kernels.places(1, kernels.cache_type, gap=0)
    # Files with holes.
    files = [tmp_path / f"cache{index}" for index in range(1 if kernels.rank else 2)]
    arrays = [np.memmap(file, np.uint8, "w+", shape=stride * blocks).view(kernels.cache_type) for file in files]
    arrays = arrays * (3 - len(arrays))
    slots = np.array([0, kernels.rows, 2 * kernels.rows, 3 * kernels.rows - 1, 2 * kernels.rows - 1, 3 * kernels.rows], np.int64)
    rows, views, strides = rows_of(kernels, random, tokens)
    sources = [view.copy() for view in views]
    one_block.strides["block"] = stride
    values = kernels.cache_values(one_block, arrays) | row_values(kernels, rows, strides)
    values |= {"slot_mapping": slots, "num_tokens": tokens, "num_blocks": blocks}
    for op in ("store", "load"):
        kernels.run(op, **values)
        for part in range(2):
            at = one_block.parts[part][0][slots[:-1] % kernels.rows] + (slots[:-1] // kernels.rows * stride)[:, None, None]
            codes = store(sources[part][:-1], kernels.scale(part), kernels.cache_type)
            same(arrays[part][at], codes)
            if op == "load":
                same(views[part][:-1], load(codes, kernels.scale(part), kernels.source))


def compact_rows(random, dtype, shape, pad):
    """An array [rows, length] of any bits whose rows lie `pad` elements further apart than they are long."""
    stride = -(-(shape[1] + pad) // 16) * 16
    array = aligned(shape[0] * stride, dtype)
    random_bits(random, array)
    return array, array.reshape(shape[0], stride)[:, : shape[1]], stride


def check_quantized(kernels, op, name, scale, random, shape, values):
    rows, view, stride = compact_rows(random, kernels.source, shape, 16)
    out, out_view, out_stride = compact_rows(random, kernels.cache_type, shape, 32)
    before = out.copy()
    kernels.run(op, 2, **values, **{name: rows, f"{name}_stride": stride, f"{name}_fp8": out, f"{name}_fp8_stride": out_stride})
    same(out_view, store(view, scale, kernels.cache_type))
    out_view[...] = before.reshape(shape[0], out_stride)[:, : shape[1]]
    assert (out.view(np.uint8) == before.view(np.uint8)).all()


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("chip", CHIPS)
def test_rows(build_dir, kvqc, tmp_path, chip, source):
    """Queries, probabilities of any length, and running scales."""
    number = CHIPS.index(chip) + list(SOURCES).index(source)
    layout, geometry = [("nhd", (3, 40, 0, 8)), ("mla", (1, 46, 40, 7)), ("paged", (9, 256, 0, 16))][number % 3]
    kernels = Operations(build_dir, kvqc, tmp_path, chip, layout, geometry, source, ("fp8", "fp8_e5m2")[number % 2], ROW_OPS)
    random = np.random.default_rng(67)
    length = kernels.q_heads * kernels.size
    for rows in (0, 5):
        check_quantized(kernels, "quantize_query", "query", SCALES["q"], random, (rows, length), {"num_tokens": rows})
        for columns in (0, 1, 7, 64, 2500):
            values = {"num_rows": rows, "num_columns": columns}
            check_quantized(kernels, "quantize_prob", "prob", SCALES["prob"], random, (rows, columns), values)

    parts = dict(
        zip(kernels.names()[0], [kernels.heads * (kernels.rank or kernels.size), kernels.heads * (kernels.size - kernels.rank)], strict=True)
    )
    lengths = {"query": length} | parts
    for kind in ("finite", "infinite", "nan", "larger before", "none"):
        tokens = 0 if kind == "none" else 6
        values, expected = {"num_tokens": tokens}, {}
        for name, letter in zip(lengths, CONSTANTS, strict=True):
            array, view, stride = compact_rows(random, kernels.source, (8, lengths[name]), 16)
            view[...] = random.normal(0, 2, view.shape).astype(kernels.source)
            view[tokens:] = 30000
            if kind == "infinite":
                view[2, -1] = -np.inf
            elif kind == "nan":
                view[4, 0] = np.nan
            start = np.float32(1000 if kind == "larger before" else 0)
            scale = np.array([start])
            values |= {name: array, f"{name}_stride": stride, f"{letter}_scale": scale}
            largest = np.abs(view[:tokens].astype(np.float32)).max(initial=0)
            expected[letter] = np.maximum(start, np.float32(largest) / CONSTANTS[letter])
        kernels.run("compute_scales", 3, **values)
        for letter, scale in expected.items():
            same(values[f"{letter}_scale"], np.array([scale]))


@pytest.mark.parametrize("name", FORMATS)
def test_all_codes_are_transcoded(build_dir, kvqc, tmp_path, name):
    """What the text of kvq.transcode says, code by code: all are kept but for those that the other format lacks."""
    is_fnuz_name = name.endswith("FNUZ")
    op = "transcode_to_ocp" if is_fnuz_name else "transcode_to_fnuz"
    dtype = "fp8_e5m2" if "E5M2" in name else "fp8"
    kernels = Operations(build_dir, kvqc, tmp_path, "host", "nhd", (1, 256, 0, 1), "bf16", dtype, [op], fnuz=is_fnuz_name)
    from_array, to_array = aligned(256, np.uint8), aligned(256, np.uint8)
    from_array[...] = np.arange(256)
    strides = {"block": 256, "page": 256, "head": 256}
    values = {"num_blocks": 1}
    for part in ("key", "value"):
        values |= {f"from_{part}_cache": from_array, f"{part}_cache": to_array}
        values |= {f"{prefix}{part}_{stride}_stride": number for prefix in ("from_", "") for stride, number in strides.items()}
    kernels.run(op, **values)
    to = FORMATS[PARTNERS[name]]
    assert (to_array.view(to).view(np.uint8)[1:0x78] == np.arange(1, 0x78)).all()
    numbers, results = from_array.view(FORMATS[name]).astype(np.float64), to_array.view(to).astype(np.float64)
    factor = 2.0 if is_fnuz_name else 0.5
    limit = float(ml_dtypes.finfo(to).max)
    exact = np.abs(numbers * factor) <= limit
    assert (results[exact] == (numbers * factor)[exact]).all()
    beyond = np.abs(numbers * factor) > limit
    assert (results[beyond] == np.sign(numbers[beyond]) * limit).all()
    assert (np.isnan(results) == np.isnan(numbers)).all()
    assert exact.sum() + beyond.sum() + np.isnan(numbers).sum() == 256
