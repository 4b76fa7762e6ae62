"""Arrays in memory that is watched on all sides, and what a kernel should make of them."""

import ctypes
import mmap

import numpy as np
from formulas import load, store

GUARD = 0xA5
MARGIN = 64


class Memory:
    """An array whose start is `shift` bytes beyond a multiple of 64, in the midst of bytes that nothing may touch."""

    def __init__(self, shape, dtype, shift=0):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        whole = np.full(size + 4 * MARGIN, GUARD, np.uint8)
        start = MARGIN + -whole.ctypes.data % MARGIN + shift
        self.bytes, self.start, self.size, self.shape = whole, start, size, shape
        self.array = whole[start : start + size].view(dtype).reshape(shape)

    def copy(self):
        """The same content elsewhere."""
        other = Memory(self.shape, self.array.dtype)
        other.array.view(np.uint8)[...] = self.array.view(np.uint8)
        return other

    def same(self, other):
        """Whether two memories have the same content, margins included."""
        mine, others = (memory.bytes[memory.start - MARGIN : memory.start + memory.size + MARGIN] for memory in (self, other))
        return bool((mine == others).all())


def fenced(shape, dtype, at_end):
    """An array between pages that cannot be read or written, right after the first one, or right before the second."""
    page = mmap.PAGESIZE
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    pages = -(-size // page)
    pages_with_fences = mmap.mmap(-1, (pages + 2) * page)
    whole = np.frombuffer(pages_with_fences, np.uint8)
    library = ctypes.CDLL(None, use_errno=True)
    for number in (0, pages + 1):
        address = ctypes.c_void_p(whole.ctypes.data + number * page)
        if library.mprotect(address, ctypes.c_size_t(page), 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
    start = (pages + 1) * page - size if at_end else page
    return np.frombuffer(pages_with_fences, dtype, int(np.prod(shape)), start).reshape(shape)


# How engines lay the two caches out in one tensor: its shape, and the views [blocks, rows, heads, size].
CACHES = {
    "compact": (lambda blocks, rows, heads, size: (2, blocks, rows, heads, size), lambda a: (a[0], a[1])),
    "halves of a head": (lambda blocks, rows, heads, size: (blocks, rows, heads, 2 * size), lambda a: np.split(a, 2, axis=3)),
    "halves of a block": (lambda blocks, rows, heads, size: (blocks, 2, rows, heads, size), lambda a: (a[:, 0], a[:, 1])),
    "heads outermost": (lambda blocks, rows, heads, size: (2, blocks, heads, rows, size), lambda a: (a[0].swapaxes(1, 2), a[1].swapaxes(1, 2))),
    "mixed": (lambda blocks, rows, heads, size: (blocks, heads, rows, 2 * size), lambda a: np.split(a.swapaxes(1, 2), 2, axis=3)),
}

# The rows of K and V: of their own, or parts of what one matrix product gives.
ROWS = {
    "compact": (lambda tokens, heads, size: (2, tokens, heads, size), lambda a: (a[0], a[1])),
    "of one product": (lambda tokens, heads, size: (tokens, 4, heads, size), lambda a: (a[:, 2], a[:, 3])),
}


def expect(op, kernels, pair, rows, caches, slots, num_blocks):
    """Does to `rows` and `caches` what a kernel should, in the order of the tokens; returns how many slots are beyond the cache."""
    beyond = 0
    for token, slot in enumerate(slots):
        beyond += bool(slot >= num_blocks * kernels.block_size)
        if slot < 0 or (slot >= num_blocks * kernels.block_size):
            continue
        place = divmod(int(slot), kernels.block_size)
        for row, cache, scale in zip(rows, caches, pair, strict=True):
            if kernels.cache == "auto":
                source, target = (row[token], cache[place]) if op == "store" else (cache[place], row[token])
                target.view(np.uint8)[...] = source.view(np.uint8)
            elif op == "store":
                cache[place] = store(row[token], scale, kernels.cache_type).view(np.uint8)
            else:
                row[token] = load(cache[place].view(kernels.cache_type), scale, kernels.source_type)
    return beyond
