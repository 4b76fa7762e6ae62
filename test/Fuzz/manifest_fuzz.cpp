//===- manifest_fuzz.cpp - Manifests made of anything ---------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The input is a manifest.json. Links with libFuzzer (-fsanitize=fuzzer), or
// with replay.cpp, which runs the corpus.
//
//===----------------------------------------------------------------------===//

#include "kvq/Artefact/Header.h"
#include "kvq/Artefact/ManifestReader.h"
#include <cstdlib>

using namespace kvq;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  Result<Manifest> manifest = readManifest(text);
  if (!manifest) {
    if (manifest.error().empty() || manifest.error().find('\n') != std::string::npos)
      std::abort();
    return 0;
  }
  for (const ManifestHash &hash : manifest->hashes)
    if (!isPlainFileName(hash.file))
      std::abort();
  for (const ManifestKernel &kernel : manifest->kernels)
    if (!isCIdentifier(kernel.symbol) || kernel.headSize < 1 || kernel.sharedBytes < 0)
      std::abort();
  (void)toHeaderText(*manifest);
  // What was read says the same when it is written and read again.
  std::string written = toJsonText(*manifest);
  Result<Manifest> again = readManifest(written);
  if (!again || toJsonText(*again) != written)
    std::abort();
  return 0;
}
