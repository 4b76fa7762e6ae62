//===- Fixture.h - Checkpoints written by a test ----------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_TEST_UNIT_CHECKPOINT_FIXTURE_H
#define KVQ_TEST_UNIT_CHECKPOINT_FIXTURE_H

#include "../TemporaryFolder.h"
#include "kvq/Checkpoint/Checkpoint.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>

namespace kvq::test {

/// A tensor for a file: `shape` and `dtype` as JSON would have them.
struct Tensor {
  std::string name, dtype, shape, bytes;
};

inline Tensor f32(std::string name, float value, std::string shape = "[]") {
  return {std::move(name), "F32", std::move(shape),
          std::string(reinterpret_cast<const char *>(&value), sizeof(value))};
}

/// The eight bytes of a header's length.
inline std::string lengthBytes(uint64_t length) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i)
    bytes[i] = char(length >> (8 * i));
  return bytes;
}

/// A file with this header and this data.
inline std::string rawSafetensors(const std::string &header, const std::string &data = {}) {
  return lengthBytes(header.size()) + header + data;
}

inline std::string safetensors(const std::vector<Tensor> &tensors) {
  std::string header = "{", data;
  for (const Tensor &tensor : tensors) {
    size_t begin = data.size();
    data += tensor.bytes;
    header += (header.size() > 1 ? ",\"" : "\"") + tensor.name + "\":{\"dtype\":\"" + tensor.dtype +
              "\",\"shape\":" + tensor.shape + ",\"data_offsets\":[" + std::to_string(begin) + "," +
              std::to_string(data.size()) + "]}";
  }
  return rawSafetensors(header + "}", data);
}

/// A folder that lives as long as the test.
class Folder {
public:
  std::string pathOf(const std::string &name) const { return (temporary.path() / name).string(); }
  Folder &write(const std::string &name, const std::string &bytes) {
    std::ofstream(pathOf(name), std::ios::binary) << bytes;
    return *this;
  }
  llvm::StringRef str() const { return temporary.path().native(); }

private:
  TemporaryFolder temporary;
};

inline std::string llamaConfig(int layers, const std::string &more = "") {
  return R"({"model_type": "llama", "num_hidden_layers": )" + std::to_string(layers) +
         R"(, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096,
             "torch_dtype": "bfloat16")" +
         more + "}";
}

inline const char *ctConfig() {
  return R"(, "quantization_config": {"quant_method": "compressed-tensors", "kv_cache_scheme":
             {"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": false}})";
}

/// The checkpoint in `path`, or a failed test.
inline Checkpoint readOrFail(llvm::StringRef path, const ReadOptions &options = {}) {
  llvm::Expected<Checkpoint> checkpoint = readCheckpoint(path, options);
  if (checkpoint)
    return std::move(*checkpoint);
  ADD_FAILURE() << llvm::toString(checkpoint.takeError());
  return {};
}

/// The error of reading `path`; one line, and empty if it can be read.
inline std::string errorOf(llvm::StringRef path, const ReadOptions &options = {}) {
  llvm::Expected<Checkpoint> checkpoint = readCheckpoint(path, options);
  std::string text = checkpoint ? "" : llvm::toString(checkpoint.takeError());
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  return text;
}

inline bool contains(llvm::ArrayRef<std::string> texts, llvm::StringRef part) {
  return llvm::any_of(
      texts, [&](const std::string &text) { return llvm::StringRef(text).contains(part); });
}

inline float valueOf(const CheckpointLayer &layer, ScaleKind kind) {
  const auto &scale = layer.scales[size_t(kind)];
  return scale ? scale->values.front() : -1.0f;
}

} // namespace kvq::test

#endif // KVQ_TEST_UNIT_CHECKPOINT_FIXTURE_H
