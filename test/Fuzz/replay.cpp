//===- replay.cpp - Run a fuzz target over a corpus -----------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A main for any compiler: each file of the folders named, whole, then cut short
// at many places and with single bytes changed.
//
//===----------------------------------------------------------------------===//

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const std::string &bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
}

/// Deterministic neighbours of an input.
static void runAround(const std::string &bytes) {
  run(bytes);
  size_t step = bytes.size() / 256 + 1;
  for (size_t cut = 0; cut < bytes.size(); cut += step)
    run(bytes.substr(0, cut));
  for (size_t place = 0; place < bytes.size(); place += step) {
    for (char byte : {'\0', '"', '{', ']', '-', '9', '\xff'}) {
      std::string changed = bytes;
      changed[place] = byte;
      run(changed);
    }
  }
}

int main(int argc, char **argv) {
  int count = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto &entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      runAround(std::string(std::istreambuf_iterator<char>(file), {}));
      ++count;
    }
  }
  std::printf("%d files replayed\n", count);
  return count == 0;
}
