//===- ArtefactDirectory.cpp - Files of an artefact, checked --------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Artefact/ArtefactDirectory.h"
#include "kvq/Artefact/Hash.h"
#include "kvq/Artefact/ManifestReader.h"
#include "kvq/Json/Quote.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <new>
#include <sys/stat.h>
#include <unistd.h>

using namespace kvq;

namespace {

/// An open file or folder.
class Descriptor {
public:
  explicit Descriptor(int number) : number(number) {}
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  ~Descriptor() {
    if (number >= 0)
      close(number);
  }
  int get() const { return number; }

private:
  int number;
};

} // namespace

static Failure fileFailure(const std::string &path, const std::string &text) {
  return {escapeText(path) + ": " + text};
}

/// What is at the place of a file.
static const char *describeMode(mode_t mode) {
  if (S_ISDIR(mode))
    return "a folder";
  if (S_ISLNK(mode))
    return "a symbolic link";
  return "a device, a pipe or a socket";
}

/// The bytes of the regular file `name` in `folder`.
static Result<std::string> readFile(int folder, const std::string &name, const std::string &path,
                                    uint64_t limit) {
  // What is no file must neither block nor be opened through a link.
  Descriptor file(openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0 && errno == ELOOP)
    return fileFailure(path, "expected a file, but got a symbolic link");
  if (file.get() < 0)
    return fileFailure(path, std::string("cannot open the file: ") + std::strerror(errno));
  struct stat status;
  if (fstat(file.get(), &status) != 0)
    return fileFailure(path, std::string("cannot read the file: ") + std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    return fileFailure(path,
                       std::string("expected a file, but got ") + describeMode(status.st_mode));
  if (uint64_t(status.st_size) > limit)
    return fileFailure(path, "expected a file of at most " + std::to_string(limit) +
                                 " bytes, but it has " + std::to_string(status.st_size));
  std::string bytes;
  try {
    bytes.resize(size_t(status.st_size));
  } catch (const std::bad_alloc &) {
    return fileFailure(path, "no memory for " + std::to_string(status.st_size) + " bytes");
  }
  size_t taken = 0;
  while (taken < bytes.size()) {
    ssize_t count = ::read(file.get(), bytes.data() + taken, bytes.size() - taken);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return fileFailure(path, std::string("cannot read the file: ") + std::strerror(errno));
    // Cut short since; the hash will differ.
    if (count == 0)
      break;
    taken += size_t(count);
  }
  bytes.resize(taken);
  return bytes;
}

ArtefactDirectory::ArtefactDirectory(ArtefactDirectory &&other) noexcept
    : folder(std::exchange(other.folder, -1)), location(std::move(other.location)),
      contents(std::move(other.contents)) {}

ArtefactDirectory &ArtefactDirectory::operator=(ArtefactDirectory &&other) noexcept {
  std::swap(folder, other.folder);
  std::swap(location, other.location);
  std::swap(contents, other.contents);
  return *this;
}

ArtefactDirectory::~ArtefactDirectory() {
  if (folder >= 0)
    close(folder);
}

static std::string join(const std::string &folder, std::string_view name) {
  return folder + (folder.empty() || folder.back() != '/' ? "/" : "") + std::string(name);
}

Result<ArtefactDirectory> ArtefactDirectory::open(const std::string &path) {
  ArtefactDirectory directory;
  directory.location = path;
  directory.folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory.folder < 0 && errno == ENOTDIR)
    return fileFailure(path, "expected a folder that 'kvqc compile' wrote, but got a file");
  if (directory.folder < 0)
    return fileFailure(path, std::string("cannot open the folder: ") + std::strerror(errno));
  std::string name = join(path, kManifestFile);
  struct stat status;
  if (fstatat(directory.folder, kManifestFile, &status, AT_SYMLINK_NOFOLLOW) != 0 &&
      errno == ENOENT)
    return fileFailure(path, std::string("expected a folder that 'kvqc compile' wrote, but it has "
                                         "no '") +
                                 kManifestFile + "'");
  Result<std::string> text = readFile(directory.folder, kManifestFile, name, maxManifestSize);
  if (!text)
    return text.failure();
  Result<Manifest> manifest = readManifest(*text);
  if (!manifest)
    return fileFailure(name, manifest.error());
  directory.contents = std::move(*manifest);
  return directory;
}

Result<std::string> ArtefactDirectory::read(std::string_view file) const {
  std::string path = join(location, file);
  auto known = std::find_if(contents.hashes.begin(), contents.hashes.end(),
                            [&](const ManifestHash &hash) { return hash.file == file; });
  if (known == contents.hashes.end())
    return fileFailure(path, "expected a file that the manifest names");
  Result<std::string> bytes = readFile(folder, known->file, path, maxFileSize);
  if (!bytes)
    return bytes;
  Result<std::string> hash = sha256Text(*bytes);
  if (!hash)
    return fileFailure(path, hash.error());
  if (*hash != known->sha256)
    return fileFailure(path, "expected the SHA-256 " + known->sha256 + ", but got " + *hash +
                                 "; the file is not the one that was compiled");
  return bytes;
}

Result<std::vector<std::string>> ArtefactDirectory::listUnknown() const {
  // A descriptor of its own: the place of reading belongs to the open folder.
  int number = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::unique_ptr<DIR, int (*)(DIR *)> stream(number < 0 ? nullptr : fdopendir(number), closedir);
  if (!stream) {
    int code = errno;
    if (number >= 0)
      close(number);
    return fileFailure(location, std::string("cannot read the folder: ") + std::strerror(code));
  }
  std::vector<std::string> names;
  while (const dirent *entry = readdir(stream.get())) {
    std::string_view name = entry->d_name;
    auto isName = [&](const ManifestHash &hash) { return hash.file == name; };
    if (name != "." && name != ".." && name != kManifestFile &&
        std::none_of(contents.hashes.begin(), contents.hashes.end(), isName))
      names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}
