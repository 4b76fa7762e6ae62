/* Host kernels that write down what they were given: test/Unit/Runtime. */

#include <stdint.h>

/* As an artefact's store of layout nhd: the arguments, in order, into `key`. */
void record_store(int64_t *key, const void *value, const void *key_cache, const void *value_cache,
                  const void *slot_mapping, int64_t num_tokens, int64_t num_blocks,
                  int64_t key_stride, int64_t value_stride, int64_t key_block_stride,
                  int64_t key_page_stride, int64_t key_head_stride, int64_t value_block_stride,
                  int64_t value_page_stride, int64_t value_head_stride) {
  const int64_t given[] = {(int64_t)(intptr_t)key,
                           (int64_t)(intptr_t)value,
                           (int64_t)(intptr_t)key_cache,
                           (int64_t)(intptr_t)value_cache,
                           (int64_t)(intptr_t)slot_mapping,
                           num_tokens,
                           num_blocks,
                           key_stride,
                           value_stride,
                           key_block_stride,
                           key_page_stride,
                           key_head_stride,
                           value_block_stride,
                           value_page_stride,
                           value_head_stride};
  for (unsigned i = 0; i < sizeof(given) / sizeof(given[0]); ++i)
    key[i] = given[i];
}

/* Few arguments, one of them of 32 bits. */
void record_narrow(int64_t *key, int32_t num_tokens, int64_t key_stride) {
  key[0] = num_tokens;
  key[1] = key_stride;
}
