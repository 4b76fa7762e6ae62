"""The kernels that kvq makes for a layer of 8 heads of 128 numbers, written by hand in Triton.

bf16 to and from an f8E4M3FN (or, on gfx942, f8E4M3FNUZ) cache in layout nhd, with slots, strides, a check of the bounds and constant scales; a
program has one token. They take kvq's arguments in kvq's order, the scales and the sizes as constants.
"""

import triton
import triton.language as tl

ARGUMENTS = ("key", "value", "key_cache", "value_cache", "slots", "num_tokens", "num_blocks", "key_stride", "value_stride",
             "key_block_stride", "key_page_stride", "key_head_stride", "value_block_stride", "value_page_stride", "value_head_stride")  # fmt: skip
CONSTANTS = ("K_SCALE", "V_SCALE", "HEADS", "HEAD_SIZE", "BLOCK_SIZE")


@triton.jit
def store(
    key, value, key_cache, value_cache, slots, num_tokens, num_blocks, key_stride, value_stride,
    key_block_stride, key_page_stride, key_head_stride, value_block_stride, value_page_stride, value_head_stride,
    K_SCALE: tl.constexpr, V_SCALE: tl.constexpr, HEADS: tl.constexpr, HEAD_SIZE: tl.constexpr, BLOCK_SIZE: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    slot = tl.load(slots + token)
    if (slot < 0) | (slot >= num_blocks * BLOCK_SIZE):
        return
    index = tl.arange(0, HEADS * HEAD_SIZE)
    head, element = index // HEAD_SIZE, index % HEAD_SIZE
    block, page = slot // BLOCK_SIZE, slot % BLOCK_SIZE
    k = tl.load(key + token * key_stride + index).to(tl.float32) / K_SCALE
    v = tl.load(value + token * value_stride + index).to(tl.float32) / V_SCALE
    key_place = key_cache + block * key_block_stride + page * key_page_stride + head * key_head_stride + element
    value_place = value_cache + block * value_block_stride + page * value_page_stride + head * value_head_stride + element
    tl.store(key_place, k.to(key_cache.dtype.element_ty))
    tl.store(value_place, v.to(value_cache.dtype.element_ty))


@triton.jit
def load(
    key, value, key_cache, value_cache, slots, num_tokens, num_blocks, key_stride, value_stride,
    key_block_stride, key_page_stride, key_head_stride, value_block_stride, value_page_stride, value_head_stride,
    K_SCALE: tl.constexpr, V_SCALE: tl.constexpr, HEADS: tl.constexpr, HEAD_SIZE: tl.constexpr, BLOCK_SIZE: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    slot = tl.load(slots + token)
    if (slot < 0) | (slot >= num_blocks * BLOCK_SIZE):
        return
    index = tl.arange(0, HEADS * HEAD_SIZE)
    head, element = index // HEAD_SIZE, index % HEAD_SIZE
    block, page = slot // BLOCK_SIZE, slot % BLOCK_SIZE
    key_place = key_cache + block * key_block_stride + page * key_page_stride + head * key_head_stride + element
    value_place = value_cache + block * value_block_stride + page * value_page_stride + head * value_head_stride + element
    k = tl.load(key_place).to(tl.float32) * K_SCALE
    v = tl.load(value_place).to(tl.float32) * V_SCALE
    tl.store(key + token * key_stride + index, k.to(tl.bfloat16))
    tl.store(value + token * value_stride + index, v.to(tl.bfloat16))
