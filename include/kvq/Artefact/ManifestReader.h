//===- ManifestReader.h - manifest.json as structs --------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_ARTEFACT_MANIFESTREADER_H
#define KVQ_ARTEFACT_MANIFESTREADER_H

#include "kvq/Artefact/Manifest.h"
#include "kvq/Artefact/PlainNames.h"
#include "kvq/Json/Result.h"
#include <string_view>

namespace kvq {

/// What a manifest may claim at most; what is beyond is refused.
struct ManifestLimits {
  /// Heads, head sizes, block sizes, ranks and divisors of strides.
  static constexpr int64_t size = int64_t(1) << 20;
  /// Threads of a block.
  static constexpr int64_t threads = 1024;
  /// Blocks of a grid, along x and along y or z; also any number in a launch
  /// size.
  static constexpr int64_t gridX = (int64_t(1) << 31) - 1;
  static constexpr int64_t gridYZ = 65535;
  /// Bytes of shared memory.
  static constexpr int64_t sharedBytes = 256 << 10;
  /// Bytes that a pointer is aligned to.
  static constexpr int64_t align = 4096;
  static constexpr size_t arguments = 256;
  /// Sizes within each other, and sizes in all, of one launch size.
  static constexpr unsigned launchDepth = 8;
  static constexpr unsigned launchNodes = 64;
  /// Bytes of a symbol and of a file's name.
  static constexpr size_t symbol = 1024;
  static constexpr size_t fileName = 255;
};

/// The manifest that `text` holds. Every field is checked: types, ranges, that
/// names are unique and that what is named exists. Keys that are not known are
/// ignored, since the schema may grow. The failure names the field:
/// "kernels[3].args[2].type: expected 'ptr', 'i64' or 'i32', but got 'f64'"; the
/// caller adds the file.
Result<Manifest> readManifest(std::string_view text);

} // namespace kvq

#endif // KVQ_ARTEFACT_MANIFESTREADER_H
