//===- safetensors_fuzz.cpp - Headers made of anything --------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The input is a header; what follows it in the file is taken to be as long as
// the input's last byte says. Links with libFuzzer (-fsanitize=fuzzer), or with
// replay.cpp, which runs the corpus.
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/Safetensors.h"
#include "kvq/Checkpoint/SafetensorsIndex.h"
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  uint64_t dataSize = size ? data[size - 1] : 0;
  for (uint64_t length : {dataSize, uint64_t(0), uint64_t(16)}) {
    llvm::Expected<kvq::SafetensorsHeader> header = kvq::parseSafetensorsHeader(text, length);
    if (!header) {
      // One line, whatever the names in the header are.
      if (llvm::toString(header.takeError()).find('\n') != std::string::npos)
        std::abort();
      continue;
    }
    for (const kvq::TensorEntry &tensor : header->tensors)
      if (tensor.begin > tensor.end || tensor.end > length)
        std::abort();
  }
  llvm::Expected<kvq::SafetensorsIndex> index = kvq::parseSafetensorsIndex(text);
  if (!index)
    llvm::consumeError(index.takeError());
  return 0;
}
