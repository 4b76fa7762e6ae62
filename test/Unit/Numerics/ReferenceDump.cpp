//===- ReferenceDump.cpp - The reference as bytes, for tests in Python ----===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   kvq-reference store|folded-store SOURCE FORMAT SCALE...
//   kvq-reference load|folded-load SOURCE FORMAT SCALE...
//
// writes, for one scale after the other (float32 bit patterns in hexadecimal),
// what the reference makes of every input, or with `folded-` what the arithmetic
// makes of it that the proof chose. Inputs are all bit patterns of a 16-bit
// source, those of f32 that stand on standard input as 32-bit words, or all
// codes; results are bytes for a store, else values of the source type, all in
// the machine's byte order.
//
//===----------------------------------------------------------------------===//

#include "kvq/Numerics/Candidates.h"
#include "kvq/Numerics/Proof.h"
#include "kvq/Numerics/Reference.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdio>
#include <numeric>
#include <vector>

using namespace kvq;
using llvm::StringRef;

static std::vector<uint32_t> readInputs(bool isLoad, SourceType source) {
  std::vector<uint32_t> inputs;
  if (isLoad || source != SourceType::F32) {
    inputs.resize(isLoad ? 256 : 65536);
    std::iota(inputs.begin(), inputs.end(), 0);
    return inputs;
  }
  uint32_t word;
  while (std::fread(&word, sizeof(word), 1, stdin) == 1)
    inputs.push_back(word);
  return inputs;
}

static void write(const void *bytes, size_t size) {
  llvm::outs().write(static_cast<const char *>(bytes), size);
}

int main(int argc, char **argv) {
  StringRef operation = argc > 4 ? argv[1] : "";
  bool isFolded = operation.consume_front("folded-");
  bool isLoad = operation == "load";
  std::optional<SourceType> source = symbolize<SourceType>(argc > 4 ? argv[2] : "");
  std::optional<Fp8Format> format = symbolize<Fp8Format>(argc > 4 ? argv[3] : "");
  if ((!isLoad && operation != "store") || !source || !format) {
    llvm::errs() << "error: expected '[folded-]store|load SOURCE FORMAT SCALE...'\n";
    return 1;
  }

  const std::vector<uint32_t> inputs = readInputs(isLoad, *source);
  for (int i = 4; i != argc; ++i) {
    uint32_t scaleBits;
    if (StringRef(argv[i]).getAsInteger(16, scaleBits)) {
      llvm::errs() << "error: expected eight hexadecimal digits, but got '" << argv[i] << "'\n";
      return 1;
    }
    const float scale = llvm::bit_cast<float>(scaleBits);
    Proof proof;
    if (isFolded)
      proof = isLoad ? proveLoad(*format, *source, scale) : proveStore(*source, *format, scale);
    for (uint32_t bits : inputs) {
      if (isLoad) {
        uint8_t code = uint8_t(bits);
        uint32_t value = isFolded ? applyToCode(proof.arithmetic, *format, *source, code)
                                  : loadReference(*format, *source, scale, code);
        uint16_t half = uint16_t(value);
        if (getBitWidth(*source) == 16)
          write(&half, sizeof(half));
        else
          write(&value, sizeof(value));
      } else {
        uint8_t code = isFolded ? encode(*format, apply(proof.arithmetic, decode(*source, bits)))
                                : storeReference(*source, *format, scale, bits);
        write(&code, 1);
      }
    }
  }
  llvm::outs().flush();
  return 0;
}
