#!/usr/bin/env python3
"""Makes test/Unit/Resolve/rules_table.txt: what vLLM's own function resolves scales to.

    utils/make_rules_table.py ../shared/seed-vllm-kv-cache.txt [-o test/Unit/Resolve/rules_table.txt]

The argument is the text of vLLM's documentation page on vllm.model_executor.layers.quantization.kv_cache. The function is cut out of it and run,
on stand-ins for torch's tensors, the platform and the logger, for every combination of absent, negative, zero, positive, infinite and NaN
scales, cache dtypes, calculate_kv_scales and fnuz; then again with other numbers for negative, zero and positive.
"""

import argparse
import itertools
import math
import pathlib
import re
import struct
import sys
import textwrap
import types

FUNCTION = "process_weights_after_loading"
DTYPES = ["auto", "fp8", "fp8_e4m3", "fp8_e5m2"]
NAMES = ["q", "k", "v", "prob"]
STATES = ["absent", "negative", "zero", "positive", "inf", "nan"]

# The numbers of a state, by name: all different; 1.0 after doubling; 1.0 before; beyond float32 or subnormal.
SETS = [
    {"negative": [-0.5, -0.75, -3.0, -1.0], "zero": [0.0] * 4, "positive": [0.625, 0.0234375, 0.03099536, 0.75]},
    {"negative": [-math.inf] * 4, "zero": [-0.0] * 4, "positive": [0.5] * 4},
    {"negative": [-1e-45] * 4, "zero": [0.0] * 4, "positive": [1.0] * 4},
    {"negative": [-3e38] * 4, "zero": [-0.0] * 4, "positive": [1e-45, 3e38, 2e38, 1.75e38]},
]


def float32(value):
    """`value` rounded to float32, beyond its range an infinity."""
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def bits(value):
    """The bit pattern of a float32 as eight hexadecimal digits; one for all NaNs."""
    return "7fc00000" if math.isnan(value) else struct.pack(">f", float32(value)).hex()


def shortest(value):
    """The shortest decimal that reads back to the float32 `value`, with a point or an exponent."""
    if not math.isfinite(value):
        return str(value)
    return next(str(float(text)) for digits in range(1, 10) if float32(float(text := f"{value:.{digits}g}")) == value)


class Tensor:
    """As much of a float32 torch.Tensor of one element as the function uses."""

    def __init__(self, value):
        self.value = float32(value)

    def copy_(self, other):
        self.value = float32(number(other))

    def to(self, device):
        assert device == "cpu"
        return self

    def tolist(self):
        return self.value

    item = tolist

    def numel(self):
        return 1

    def is_floating_point(self):
        return True

    def __imul__(self, factor):
        self.value = float32(self.value * factor)
        return self

    def __gt__(self, other):
        return self.value > number(other)

    def __lt__(self, other):
        return self.value < number(other)

    def __eq__(self, other):
        return self.value == number(other)

    __hash__ = None

    def __format__(self, spec):
        return shortest(self.value)


def number(value):
    return value.value if isinstance(value, Tensor) else value


def extract(text):
    """The function's source: the last definition on the page, to the end of its indented block."""
    start = text.rindex(f"def {FUNCTION}(")
    lines = text[text.rindex("\n", 0, start) + 1 :].split("\n")
    indent = len(lines[0]) - len(lines[0].lstrip())
    body = [lines[0], *itertools.takewhile(lambda line: not line.strip() or line.startswith(" " * (indent + 1)), lines[1:])]
    return textwrap.dedent("\n".join(body))


class Seed:
    """The function, compiled once, with its surroundings."""

    def __init__(self, source):
        self.fnuz, self.warnings = False, []
        torch = types.SimpleNamespace(Tensor=Tensor, nn=types.SimpleNamespace(Module=object))
        surroundings = {
            "torch": torch,
            "current_platform": types.SimpleNamespace(is_fp8_fnuz=lambda: self.fnuz),
            "logger": types.SimpleNamespace(warning_once=self.warnings.append),
        }
        exec(compile(source, FUNCTION, "exec"), surroundings)
        self.function = surroundings[FUNCTION]

    def run(self, dtype, calculate, fnuz, scales):
        """The bits of q, k, v, prob, the flag, the warnings, and the error's class and text; an absent scale is None."""
        self.fnuz = fnuz
        self.warnings.clear()
        layer = types.SimpleNamespace(kv_cache_dtype=dtype, calculate_kv_scales=calculate)
        for name, value in zip(NAMES, scales, strict=True):
            # As create_weights makes the parameters, and Attention the buffers.
            setattr(layer, f"{name}_scale", Tensor(-1.0 if value is None else value))
            setattr(layer, f"_{name}_scale", Tensor(1.0))
        error = ""
        try:
            self.function(None, layer)
        except (AssertionError, ValueError) as caught:
            error = f"{type(caught).__name__} {caught}".strip()
        resolved = () if error else tuple(bits(getattr(layer, f"_{name}_scale").value) for name in NAMES)
        return resolved, layer.calculate_kv_scales, tuple(self.warnings), error


def values(numbers, states):
    """The four scales of a combination of states."""
    special = {"absent": None, "inf": math.inf, "nan": math.nan}
    return [special[state] if state in special else numbers[state][i] for i, state in enumerate(states)]


def run_lengths(indices):
    """'3 5*4' for 3, 5, 5, 5, 5."""
    runs = ((index, len(list(run))) for index, run in itertools.groupby(indices))
    return " ".join(str(index) if length == 1 else f"{index}*{length}" for index, length in runs)


def make(seed):
    """The table's lines."""
    texts, outcomes, rows = {}, {}, []

    def index_of(table, key):
        return table.setdefault(key, len(table))

    combinations = list(itertools.product(STATES, repeat=4))
    for number_set, numbers in enumerate(SETS):
        for dtype, calculate, fnuz in itertools.product(DTYPES, (False, True), (False, True)):
            indices = []
            for states in combinations:
                resolved, flag, warnings, error = seed.run(dtype, calculate, fnuz, values(numbers, states))
                warned = ",".join(str(index_of(texts, text)) for text in warnings) or "-"
                failed = str(index_of(texts, error)) if error else "-"
                indices.append(index_of(outcomes, f"{' '.join(resolved or ['-'] * 4)} {int(flag)} {warned} {failed}"))
            rows.append(f"rows {number_set} {dtype} {int(calculate)} {int(fnuz)} {run_lengths(indices)}")

    yield "# Made by utils/make_rules_table.py, which says how; not edited by hand."
    yield "# set INDEX STATE: the bits that the state means for q, k, v, prob"
    yield "# text INDEX: a warning, or the class and text of an error"
    yield "# outcomes, counted from 0: the bits of q, k, v, prob, calculate_kv_scales, warnings, error"
    yield "# rows SET DTYPE CALCULATE FNUZ: outcomes by the states of q, k, v, prob (the last changes fastest), N*C for C of them"
    for number_set, numbers in enumerate(SETS):
        for state in ("negative", "zero", "positive"):
            yield f"set {number_set} {state} {' '.join(map(bits, numbers[state]))}"
    for text, index in texts.items():
        yield f"text {index} {text}"
    listed = list(outcomes)
    for first in range(0, len(listed), 4):
        yield f"outcomes {'; '.join(listed[first : first + 4])}"
    yield from rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("seed", type=pathlib.Path, help="the text of vLLM's page")
    default = pathlib.Path(__file__).resolve().parent.parent / "test" / "Unit" / "Resolve" / "rules_table.txt"
    parser.add_argument("-o", dest="output", type=pathlib.Path, default=default, help="the table to write")
    arguments = parser.parse_args()
    source = extract(arguments.seed.read_text(encoding="utf-8"))
    if not re.search(r"\bassert\b", source):
        sys.exit(f"error: {arguments.seed}: expected the whole of {FUNCTION}")
    arguments.output.write_text("\n".join(make(Seed(source))) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
