//===- decode.cpp - An engine's decode loop -------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A sequence in a paged FP8 cache, on this machine's CPU or a GPU: the prompt is
// stored, then each step stores a token, gathers the sequence and attends to it.
// What was gathered is held to the formula bit by bit, and the attention to the
// one over the values before they were quantised.
//
//===----------------------------------------------------------------------===//

#include "kvq/Runtime/Runtime.h"
#include "memory.h"
#include "numbers.h"
#include <algorithm>
#include <cstdio>

/// softmax(q kᵀ / √size) v of one token's `heads` query heads, each with the KV
/// head of its number; rows of `tokens` tokens, the heads side by side.
static std::vector<float> attend(const std::vector<uint16_t> &query,
                                 const std::vector<uint16_t> &key,
                                 const std::vector<uint16_t> &value, size_t tokens, size_t heads,
                                 size_t size) {
  std::vector<float> output(heads * size), weights(tokens);
  for (size_t head = 0; head < heads; ++head) {
    float largest = -INFINITY, sum = 0;
    for (size_t token = 0; token < tokens; ++token) {
      float product = 0;
      for (size_t i = 0; i < size; ++i)
        product +=
            toFloat(query[head * size + i]) * toFloat(key[(token * heads + head) * size + i]);
      weights[token] = product / std::sqrt(float(size));
      largest = std::max(largest, weights[token]);
    }
    for (float &weight : weights)
      sum += weight = std::exp(weight - largest);
    for (size_t token = 0; token < tokens; ++token)
      for (size_t i = 0; i < size; ++i)
        output[head * size + i] +=
            weights[token] / sum * toFloat(value[(token * heads + head) * size + i]);
  }
  return output;
}

/// How many of `gathered` are not what the formulas make of `stored`.
static size_t countDifferences(const std::vector<uint16_t> &stored,
                               const std::vector<uint16_t> &gathered, const Fp8 &format,
                               float scale) {
  size_t different = 0;
  for (size_t i = 0; i < stored.size(); ++i) {
    uint8_t code = format.encode(toFloat(stored[i]) / scale);
    different += gathered[i] != toBfloat(format.decode(code) * scale);
  }
  return different;
}

/// The device that was named, or the host.
static kvq_device_kind parseDevice(const std::string &name) {
  return name == "cuda" ? KVQ_DEVICE_CUDA : name == "hip" ? KVQ_DEVICE_HIP : KVQ_DEVICE_HOST;
}

int main(int argc, char **argv) try {
  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: decode DIRECTORY [host | cuda | hip]\n");
    return 1;
  }
  kvq::runtime::OpenOptions options;
  options.device = parseDevice(argc == 3 ? argv[2] : "host");
  options.allowPtx = true;
  Memory memory(options.device);
  auto artefact = kvq::runtime::Artefact::open(argv[1], options);
  const kvq_layer_info layer = artefact.layer(0);
  kvq::runtime::Geometry tensors{"nhd", "bf16", "", 0, 0, 0};
  kvq::runtime::Call store(artefact.kernel(layer.name, "store", tensors)),
      gather(artefact.kernel(layer.name, "gather", tensors));
  const kvq_kernel_info kernel = store.getKernel().info();
  const int64_t heads = kernel.num_kv_heads, size = kernel.head_size, rows = kernel.block_size;
  const int64_t width = heads * size, prompt = 37, steps = 16, blocks = 8, most = prompt + steps;

  // K and V caches, and what passes between the engine and the kernels.
  auto *keyCache = memory.allocate<uint8_t>(blocks * rows * width);
  auto *valueCache = memory.allocate<uint8_t>(blocks * rows * width);
  auto *key = memory.allocate<uint16_t>(most * width),
       *value = memory.allocate<uint16_t>(most * width);
  auto *slots = memory.allocate<int64_t>(most);
  auto *table = memory.allocate<int32_t>(blocks), *lengths = memory.allocate<int32_t>(2);
  for (kvq::runtime::Call *call : {&store, &gather}) {
    call->set("key", key).set("value", value).set("key_stride", width).set("value_stride", width);
    call->set("key_cache", keyCache).set("value_cache", valueCache).set("num_blocks", blocks);
    for (std::string cache : {"key", "value"})
      call->set(cache + "_block_stride", rows * width)
          .set(cache + "_page_stride", width)
          .set(cache + "_head_stride", size);
  }
  store.set("slot_mapping", slots);
  gather.set("block_table", table).set("block_table_stride", blocks).set("batch", 1);
  gather.set("cu_seq_lens", lengths).set("seq_starts", nullptr);

  std::mt19937 random(7);
  const Fp8 format(kernel.cache_type);
  std::vector<uint16_t> allKeys, allValues;
  size_t different = 0, compared = 0;
  double error = 0, magnitude = 0;
  // The blocks of the sequence, in no order.
  for (int64_t block = 0; block < blocks; ++block)
    table[block] = int32_t((block * 5 + 3) % blocks);
  for (int64_t step = 0, length = 0; step <= steps; ++step) {
    // The prompt, then a token at a time: its K and V, and the slots that they get.
    const int64_t count = step == 0 ? prompt : 1;
    auto keys = randomRows(random, count * width, 2), values = randomRows(random, count * width, 2);
    std::copy(keys.begin(), keys.end(), key);
    std::copy(values.begin(), values.end(), value);
    for (int64_t token = 0; token < count; ++token, ++length)
      slots[token] = table[length / rows] * rows + length % rows;
    store.set("num_tokens", count).launch();
    memory.wait();
    allKeys.insert(allKeys.end(), keys.begin(), keys.end());
    allValues.insert(allValues.end(), values.begin(), values.end());

    // The sequence so far, dequantised.
    lengths[1] = int32_t(length);
    gather.set("num_tokens", length).launch();
    memory.wait();
    std::vector<uint16_t> gatheredKeys(key, key + length * width),
        gatheredValues(value, value + length * width);

    auto query = randomRows(random, width, 1);
    auto output = attend(query, gatheredKeys, gatheredValues, length, heads, size);
    auto exact = attend(query, allKeys, allValues, length, heads, size);
    for (size_t i = 0; i < output.size(); ++i) {
      error += (output[i] - exact[i]) * (output[i] - exact[i]);
      magnitude += exact[i] * exact[i];
    }
    different += countDifferences(allKeys, gatheredKeys, format, layer.scales[1]) +
                 countDifferences(allValues, gatheredValues, format, layer.scales[2]);
    compared += allKeys.size() + allValues.size();
  }
  // Half a unit in the last of the bits that the format has: 3, or of E5M2 2.
  const bool isWide = std::string(kernel.cache_type).find("E5M2") != std::string::npos;
  const double relative = std::sqrt(error / magnitude), limit = isWide ? 0.125 : 0.0625;
  printf(
      "%s on %s, %s: %zu of %zu values differ from the formula; the attention is off by %.1f %%, "
      "of at most %.1f %%\n",
      layer.name, artefact.info().target, kernel.cache_type, different, compared, relative * 100,
      limit * 100);
  return different == 0 && relative <= limit ? 0 : 1;
} catch (const std::exception &error) {
  fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
