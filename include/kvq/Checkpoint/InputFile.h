//===- InputFile.h - Files read in part -------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A checkpoint may be hundreds of gigabytes on slow storage: files are read in
// the places that matter, and what was read goes into one digest.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_CHECKPOINT_INPUTFILE_H
#define KVQ_CHECKPOINT_INPUTFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/SHA256.h"
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace kvq {

/// What was read, file by file.
class ReadLog {
public:
  /// Adds the next bytes of a file. Different files may be added side by side.
  void add(llvm::StringRef name, llvm::StringRef bytes);

  /// SHA-256, in hexadecimal, over each file in the order of the names: its
  /// name, a zero byte, the number of bytes read as 8 bytes (little-endian) and
  /// their SHA-256.
  std::string digest() const;

private:
  struct Entry {
    uint64_t length = 0;
    llvm::SHA256 hash;
  };
  std::mutex lock;
  std::map<std::string, Entry> entries;
};

/// A regular file, open for reading. Its size and time of change must stay what
/// they were when it was opened.
class InputFile {
public:
  /// Opens `path`; messages say `path`. What is read is not logged.
  static llvm::Expected<InputFile> open(llvm::StringRef path);
  /// Opens `path`. `name` is what the log calls it, which must not depend on
  /// where the checkpoint lies.
  static llvm::Expected<InputFile> open(llvm::StringRef path, llvm::StringRef name, ReadLog &log);

  InputFile(InputFile &&other);
  InputFile &operator=(InputFile &&) = delete;
  ~InputFile();

  llvm::StringRef path() const { return filePath; }
  llvm::StringRef name() const { return logName; }
  uint64_t size() const { return status.getSize(); }

  /// Fills `buffer` from `offset` on; an error if the file has less.
  llvm::Error read(uint64_t offset, llvm::MutableArrayRef<char> buffer);
  /// An error if the file changed since it was opened.
  llvm::Error checkUnchanged() const;
  /// An error about this file.
  llvm::Error error(const llvm::Twine &text) const;

private:
  InputFile() = default;

  std::string filePath, logName;
  ReadLog *log = nullptr;
  llvm::sys::fs::file_t handle = llvm::sys::fs::kInvalidFile;
  llvm::sys::fs::file_status status;
};

/// The whole text of a file of at most `limit` bytes, which is not logged.
llvm::Expected<std::string> readTextFile(llvm::StringRef path, uint64_t limit);
/// The same, and logs it.
llvm::Expected<std::string> readTextFile(llvm::StringRef path, llvm::StringRef name, uint64_t limit,
                                         ReadLog &log);

} // namespace kvq

#endif // KVQ_CHECKPOINT_INPUTFILE_H
