//===- InputFile.cpp - Files read in part ---------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Checkpoint/InputFile.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"

using namespace llvm;
using namespace kvq;

void ReadLog::add(StringRef name, StringRef bytes) {
  // Entries stay where they are: only the look-up needs the lock.
  Entry &entry = [&]() -> Entry & {
    std::lock_guard<std::mutex> guard(lock);
    return entries[name.str()];
  }();
  entry.length += bytes.size();
  entry.hash.update(bytes);
}

std::string ReadLog::digest() const {
  SHA256 hash;
  for (const auto &[name, entry] : entries) {
    hash.update(StringRef(name));
    char fixed[9] = {0};
    support::endian::write64le(fixed + 1, entry.length);
    hash.update(StringRef(fixed, sizeof(fixed)));
    SHA256 file = entry.hash;
    hash.update(file.final());
  }
  return toHex(hash.final(), /*LowerCase=*/true);
}

Error InputFile::error(const Twine &text) const { return fileError(filePath, text); }

Expected<InputFile> InputFile::open(StringRef path, StringRef name, ReadLog &log) {
  Expected<InputFile> file = open(path);
  if (file) {
    file->logName = name.str();
    file->log = &log;
  }
  return file;
}

Expected<InputFile> InputFile::open(StringRef path) {
  InputFile file;
  file.filePath = path.str();
  // Before opening: to open a pipe would wait for its writer.
  if (std::error_code code = sys::fs::status(path, file.status))
    return file.error(code.message());
  if (file.status.type() != sys::fs::file_type::regular_file)
    return file.error("expected a regular file");
  Expected<sys::fs::file_t> handle = sys::fs::openNativeFileForRead(path);
  if (!handle)
    return file.error(toString(handle.takeError()));
  file.handle = *handle;
  if (std::error_code code = sys::fs::status(file.handle, file.status))
    return file.error(code.message());
  return file;
}

InputFile::InputFile(InputFile &&other)
    : filePath(std::move(other.filePath)), logName(std::move(other.logName)), log(other.log),
      handle(other.handle), status(other.status) {
  other.handle = sys::fs::kInvalidFile;
}

InputFile::~InputFile() {
  if (handle != sys::fs::kInvalidFile)
    (void)sys::fs::closeFile(handle);
}

Error InputFile::read(uint64_t offset, MutableArrayRef<char> buffer) {
  MutableArrayRef<char> rest = buffer;
  while (!rest.empty()) {
    Expected<size_t> got = sys::fs::readNativeFileSlice(handle, rest, offset);
    if (!got)
      return error(toString(got.takeError()));
    if (*got == 0)
      return error("the file ended while it was read");
    rest = rest.drop_front(*got);
    offset += *got;
  }
  if (log)
    log->add(logName, StringRef(buffer.data(), buffer.size()));
  return Error::success();
}

Error InputFile::checkUnchanged() const {
  sys::fs::file_status now;
  if (std::error_code code = sys::fs::status(handle, now))
    return error(code.message());
  if (now.getSize() != status.getSize() ||
      now.getLastModificationTime() != status.getLastModificationTime())
    return error("the file changed while it was read");
  return Error::success();
}

Expected<std::string> kvq::readTextFile(StringRef path, StringRef name, uint64_t limit,
                                        ReadLog &log) {
  Expected<std::string> text = readTextFile(path, limit);
  if (text)
    log.add(name, *text);
  return text;
}

Expected<std::string> kvq::readTextFile(StringRef path, uint64_t limit) {
  Expected<InputFile> file = InputFile::open(path);
  if (!file)
    return file.takeError();
  if (file->size() > limit)
    return file->error("expected at most " + Twine(limit) + " bytes, but got " +
                       Twine(file->size()));
  if (file->size() == 0)
    return file->error("the file is empty");
  std::string text(file->size(), '\0');
  if (Error error = file->read(0, MutableArrayRef<char>(text.data(), text.size())))
    return error;
  if (Error error = file->checkUnchanged())
    return error;
  if (StringRef(text).starts_with("version https://git-lfs.github.com/spec/"))
    return file->error(
        "a Git LFS pointer stands in place of the file; fetch it with 'git lfs pull'");
  return text;
}
