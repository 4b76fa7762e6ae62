"""An artefact's manifest, and the sizes of its grids and blocks."""

import json


def manifest_of(directory):
    """The manifest of an artefact."""
    return json.loads((directory / "manifest.json").read_text())


def size_of(expression, values):
    """A size of a grid or a block, in the contract's words, for values of the kernel's arguments."""
    if isinstance(expression, int):
        return expression
    if isinstance(expression, str):
        return values[expression]
    [(kind, operands)] = expression.items()
    a, b = (size_of(operand, values) for operand in operands)
    return -(-a // b) if kind == "ceil_div" else {"mul": a * b, "min": min(a, b), "max": max(a, b)}[kind]
