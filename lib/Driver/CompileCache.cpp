//===- CompileCache.cpp - What earlier compilations left ------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM's CachePruning would do for ThinLTO's caches: it warns of them by name and
// ends the process where it cannot tell how much of the disk is free.
//
//===----------------------------------------------------------------------===//

#include "CompileCache.h"
#include "BuildIdentity.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace kvq;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

/// The first bytes of an entry; another layout of entries has others.
static constexpr llvm::StringLiteral magic = "kvq cache 1\n";
/// What the names of files begin with that are being written.
static constexpr llvm::StringLiteral temporaryPrefix = "kvq-temporary-";
/// The digits of an entry's name.
static constexpr size_t nameLength = 64;
/// How old a file is that nobody is writing any more.
static constexpr std::chrono::hours abandonedAfter(1);

std::string kvq::getDefaultCacheFolder() {
  // Set and empty: no cache.
  if (auto folder = llvm::sys::Process::GetEnv("KVQ_CACHE_DIR"))
    return *folder;
  llvm::SmallString<128> folder;
  // A relative one is to be ignored (XDG Base Directory Specification).
  auto base = llvm::sys::Process::GetEnv("XDG_CACHE_HOME");
  auto home = llvm::sys::Process::GetEnv("HOME");
  if (base && path::is_absolute(*base))
    path::append(folder, *base, "kvq");
  else if (home && path::is_absolute(*home))
    path::append(folder, *home, ".cache", "kvq");
  return std::string(folder);
}

CacheKey::CacheKey() { add(getBuildIdentity()); }

CacheKey &CacheKey::add(uint64_t number) {
  uint8_t bytes[sizeof(number)];
  llvm::support::endian::write64le(bytes, number);
  hash.update(bytes);
  return *this;
}

CacheKey &CacheKey::add(llvm::StringRef text) {
  add(text.size());
  hash.update(text);
  return *this;
}

std::string CacheKey::take() {
  auto digest = hash.final();
  return llvm::toHex(llvm::ArrayRef<uint8_t>(digest), /*LowerCase=*/true);
}

CompileCache::CompileCache(const CacheOptions &options) : sizeLimit(options.sizeLimit) {
  if (options.folder.empty() || getBuildIdentity().empty())
    return;
  if (!fs::create_directories(options.folder, /*IgnoreExisting=*/true, fs::owner_all))
    folder = options.folder;
}

std::string CompileCache::pathOf(llvm::StringRef name) const {
  llvm::SmallString<128> file(folder);
  path::append(file, name);
  return std::string(file);
}

/// The hash that an entry holds: of its name too, so that a file that was renamed
/// is no entry.
static std::string checksum(llvm::StringRef key, llvm::StringRef contents) {
  llvm::BLAKE3 hash;
  hash.update(key);
  hash.update(contents);
  auto digest = hash.final();
  return std::string(digest.begin(), digest.end());
}

std::optional<std::string> CompileCache::get(llvm::StringRef key) const {
  if (!isEnabled())
    return std::nullopt;
  int file = open(pathOf(key).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0)
    return std::nullopt;
  struct stat status;
  std::string text;
  if (fstat(file, &status) == 0 && S_ISREG(status.st_mode))
    if (auto buffer = llvm::MemoryBuffer::getOpenFile(file, key, uint64_t(status.st_size),
                                                      /*RequiresNullTerminator=*/false))
      text = (*buffer)->getBuffer().str();
  // Of somebody else's folder the times stay as they are.
  (void)futimens(file, nullptr);
  close(file);

  llvm::StringRef rest(text);
  if (!rest.consume_front(magic) || !rest.consume_front(checksum(key, rest.substr(32))))
    return std::nullopt;
  return rest.str();
}

void CompileCache::put(llvm::StringRef key, llvm::StringRef contents) {
  if (!isEnabled())
    return;
  std::string temporary = pathOf((temporaryPrefix + llvm::Twine(getpid()) + "-" +
                                  llvm::Twine(numPut.fetch_add(1)) + "-" + key.take_front(8))
                                     .str());
  int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0)
    return;
  bool isWritten;
  {
    llvm::raw_fd_ostream stream(file, /*shouldClose=*/true);
    stream << magic << checksum(key, contents) << contents;
    stream.close();
    isWritten = !stream.has_error();
    stream.clear_error();
  }
  if (!isWritten || rename(temporary.c_str(), pathOf(key).c_str()) != 0)
    unlink(temporary.c_str());
}

namespace {

struct CachedFile {
  llvm::sys::TimePoint<> lastUse;
  uint64_t size;
  std::string path;
};

} // namespace

static bool isEntry(llvm::StringRef name) {
  return name.size() == nameLength && llvm::all_of(name, llvm::isHexDigit);
}

void CompileCache::prune() const {
  if (!isEnabled())
    return;
  std::vector<CachedFile> entries;
  uint64_t total = 0;
  auto now = std::chrono::system_clock::now();
  std::error_code error;
  for (fs::directory_iterator it(folder, error, /*follow_symlinks=*/false), end;
       !error && it != end; it.increment(error)) {
    llvm::StringRef name = path::filename(it->path());
    bool isTemporary = name.starts_with(temporaryPrefix);
    fs::file_status status;
    if ((!isTemporary && !isEntry(name)) || fs::status(it->path(), status, /*follow=*/false))
      continue;
    if (!isTemporary) {
      entries.push_back({status.getLastModificationTime(), status.getSize(), it->path()});
      total += status.getSize();
    } else if (now - status.getLastModificationTime() > abandonedAfter) {
      unlink(it->path().c_str());
    }
  }
  if (total <= sizeLimit)
    return;
  llvm::sort(entries, [](const CachedFile &a, const CachedFile &b) {
    return std::tie(a.lastUse, a.path) < std::tie(b.lastUse, b.path);
  });
  for (const CachedFile &entry : entries) {
    if (total <= sizeLimit)
      return;
    // Another process may have been quicker.
    unlink(entry.path.c_str());
    total -= entry.size;
  }
}
