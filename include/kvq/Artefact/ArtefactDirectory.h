//===- ArtefactDirectory.h - Files of an artefact, checked ------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The one way to the files of an artefact that may lie. A folder is opened once;
// its files are found in what was opened, whatever is done to the path since.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_ARTEFACT_ARTEFACTDIRECTORY_H
#define KVQ_ARTEFACT_ARTEFACTDIRECTORY_H

#include "kvq/Artefact/Manifest.h"
#include "kvq/Json/Result.h"
#include <string>
#include <string_view>
#include <vector>

namespace kvq {

/// A folder that `kvqc compile -o` wrote. Functions may be called by several
/// threads at a time. A failure is one line that starts with the path of what it
/// concerns.
class ArtefactDirectory {
public:
  /// Bytes that are read of a file at most.
  static constexpr uint64_t maxManifestSize = uint64_t(256) << 20;
  static constexpr uint64_t maxFileSize = uint64_t(2) << 30;

  /// Opens the folder at `path`, which may be a symbolic link to one, and reads
  /// its manifest. No other file is looked at.
  static Result<ArtefactDirectory> open(const std::string &path);

  ArtefactDirectory(ArtefactDirectory &&other) noexcept;
  ArtefactDirectory &operator=(ArtefactDirectory &&other) noexcept;
  ~ArtefactDirectory();

  /// As given to open().
  const std::string &path() const { return location; }
  const Manifest &manifest() const { return contents; }

  /// The bytes of one file of the manifest, whose SHA-256 the manifest has. What
  /// is no regular file, a symbolic link above all, is refused, and so is a file
  /// of more than maxFileSize bytes. The bytes returned are those that were
  /// hashed.
  Result<std::string> read(std::string_view file) const;

  /// The names in the folder that the manifest does not know, sorted.
  Result<std::vector<std::string>> listUnknown() const;

private:
  ArtefactDirectory() = default;

  int folder = -1;
  std::string location;
  Manifest contents;
};

} // namespace kvq

#endif // KVQ_ARTEFACT_ARTEFACTDIRECTORY_H
