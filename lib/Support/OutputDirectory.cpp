//===- OutputDirectory.cpp - Outputs that are there whole or not at all ---===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Support/OutputDirectory.h"
#include "kvq/Support/Quote.h"
#include "llvm/ADT/ScopeExit.h"
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;
namespace fs = std::filesystem;

namespace {

/// Holds back the signals that ask a process to end, so that no half-written
/// output stays behind; they arrive when this goes out of scope.
class DeferSignals {
public:
  DeferSignals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (int signal : {SIGINT, SIGTERM, SIGHUP})
      sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, &previous);
  }
  ~DeferSignals() { pthread_sigmask(SIG_SETMASK, &previous, nullptr); }

private:
  sigset_t previous;
};

} // namespace

static Error systemError(StringRef path, const Twine &what, int code) {
  return kvq::fileError(path, what + ": " + std::strerror(code));
}

/// The path without trailing slashes, which would follow a symbolic link, and
/// without a last '.' or '..', which cannot be renamed.
static fs::path nameable(StringRef text) {
  while (text.size() > 1 && text.ends_with("/"))
    text = text.drop_back();
  fs::path path(text.str());
  if (path.filename() == "." || path.filename() == "..") {
    std::error_code ignored;
    fs::path canonical = fs::canonical(path, ignored);
    if (!canonical.empty())
      return canonical;
  }
  return path;
}

static fs::path folderOf(const fs::path &path) {
  fs::path parent = path.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

/// Makes `attempt` with names beside `path` until one is not taken; 0 or errno.
static int withFreshName(const fs::path &path, fs::path &fresh,
                         function_ref<bool(const char *)> attempt) {
  for (unsigned count = 0; count < 1000; ++count) {
    fresh = folderOf(path) / ("." + path.filename().string() + ".kvq-" + std::to_string(getpid()) +
                              "-" + std::to_string(count));
    if (attempt(fresh.c_str()))
      return 0;
    if (errno != EEXIST)
      return errno;
  }
  return EEXIST;
}

static int makeFolderBeside(const fs::path &path, fs::path &fresh) {
  return withFreshName(path, fresh, [](const char *name) { return mkdir(name, 0777) == 0; });
}

/// 0 or errno.
static int writeAll(int file, StringRef contents) {
  while (!contents.empty()) {
    ssize_t count = write(file, contents.data(), contents.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return errno;
    contents = contents.drop_front(size_t(count));
  }
  return 0;
}

/// Writes an open file to the disk and closes it; 0 or errno.
static int finish(int file, StringRef contents, bool synchronise) {
  int code = writeAll(file, contents);
  // A file system that cannot synchronise says EINVAL.
  if (code == 0 && synchronise && fsync(file) != 0 && errno != EINVAL)
    code = errno;
  if (close(file) != 0 && code == 0)
    code = errno;
  return code;
}

static void synchroniseFolder(const fs::path &path) {
  int folder = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0)
    return;
  fsync(folder);
  close(folder);
}

/// Whether the folder at `path` has the mark.
static bool hasMark(const fs::path &path, const kvq::OutputMark &mark) {
  fs::path name = path / mark.file.str();
  int file = open(name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0)
    return false;
  char buffer[256];
  ssize_t count = read(file, buffer, sizeof(buffer));
  close(file);
  return count > 0 && StringRef(buffer, size_t(count)).contains(mark.text);
}

/// Whether something is at `path` that may be replaced; an error if something
/// else is.
static Expected<bool> isReplaceable(StringRef text, const fs::path &path,
                                    const kvq::OutputMark &mark) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT)
      return false;
    return systemError(text, "cannot write a folder here", errno);
  }
  auto refuse = [&](const Twine &what) {
    return kvq::fileError(text, "expected a folder to write, but got " + what);
  };
  if (S_ISLNK(status.st_mode))
    return refuse("a symbolic link");
  if (!S_ISDIR(status.st_mode))
    return refuse("a file");
  std::error_code code;
  bool empty = fs::is_empty(path, code);
  if (code)
    return systemError(text, "cannot read the folder", code.value());
  if (!empty && !hasMark(path, mark))
    return refuse(
        "one with other things in it; only an empty one or an earlier output is replaced");
  return true;
}

Error kvq::checkOutputDirectory(StringRef text, const OutputMark &mark) {
  if (text.empty())
    return createStringError("expected the name of a folder, but got an empty one");
  fs::path path = nameable(text);
  Expected<bool> replaceable = isReplaceable(text, path, mark);
  if (!replaceable)
    return replaceable.takeError();
  DeferSignals defer;
  fs::path trial;
  if (int code = makeFolderBeside(path, trial))
    return systemError(text, "cannot write a folder here", code);
  rmdir(trial.c_str());
  return Error::success();
}

/// Puts the folder `fresh` in the place of the one at `path`, which `fresh` then
/// is; 0 or errno.
static int exchange(const fs::path &fresh, const fs::path &path) {
  if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0)
    return 0;
  if (errno != EINVAL && errno != ENOSYS)
    return errno;
  // A file system without exchange: two steps, and back if the second fails.
  fs::path aside;
  if (int code = makeFolderBeside(path, aside))
    return code;
  int code = 0;
  if (rename(path.c_str(), aside.c_str()) != 0) {
    code = errno;
    rmdir(aside.c_str());
    return code;
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) {
    code = errno;
    rename(aside.c_str(), path.c_str());
    return code;
  }
  return rename(aside.c_str(), fresh.c_str()) == 0 ? 0 : errno;
}

/// Puts the folder `fresh` at `path`; what was there is then at `fresh`, or
/// nothing is. Another process may do the same at the same time.
static Error putInPlace(StringRef text, const fs::path &fresh, const fs::path &path,
                        const kvq::OutputMark &mark) {
  int code = 0;
  for (unsigned attempt = 0; attempt < 100; ++attempt) {
    Expected<bool> replaces = isReplaceable(text, path, mark);
    if (!replaces)
      return replaces.takeError();
    code = *replaces ? exchange(fresh, path) : rename(fresh.c_str(), path.c_str()) != 0 ? errno : 0;
    // A folder came, or went, since it was looked at.
    if (code != ENOTEMPTY && code != EEXIST && code != ENOENT)
      break;
  }
  if (code)
    return systemError(text, "cannot put the folder in its place", code);
  return Error::success();
}

Error kvq::writeOutputDirectory(StringRef text, const OutputMark &mark,
                                ArrayRef<OutputFile> files) {
  fs::path path = nameable(text);
  DeferSignals defer;
  fs::path fresh;
  if (int code = makeFolderBeside(path, fresh))
    return systemError(text, "cannot write a folder here", code);
  scope_exit removeFresh([&] {
    std::error_code ignored;
    fs::remove_all(fresh, ignored);
  });
  for (const OutputFile &output : files) {
    fs::path name = fresh / output.name;
    int file = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int code = file < 0 ? errno : finish(file, output.contents, /*synchronise=*/true);
    if (code)
      return systemError(text, "cannot write '" + Twine(output.name) + "'", code);
  }
  synchroniseFolder(fresh);

  if (Error error = putInPlace(text, fresh, path, mark))
    return error;
  synchroniseFolder(folderOf(path));
  return Error::success();
}

Error kvq::writeOutputFile(StringRef text, StringRef contents) {
  if (text.empty())
    return createStringError("expected the name of a file, but got an empty one");
  fs::path path(text.str());
  struct stat status;
  // /dev/stdout is a symbolic link to a terminal or a pipe.
  if (stat(path.c_str(), &status) == 0 && (S_ISCHR(status.st_mode) || S_ISFIFO(status.st_mode))) {
    int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    int code = file < 0 ? errno : finish(file, contents, /*synchronise=*/false);
    return code ? systemError(text, "cannot write the file", code) : Error::success();
  }
  if (lstat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    return fileError(text, "expected a file to write, but got a " +
                               Twine(S_ISDIR(status.st_mode)   ? "folder"
                                     : S_ISLNK(status.st_mode) ? "symbolic link"
                                                               : "device or socket"));
  DeferSignals defer;
  fs::path fresh;
  int file = -1;
  int code = withFreshName(path, fresh, [&](const char *name) {
    file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return file >= 0;
  });
  if (code)
    return systemError(text, "cannot write the file", code);
  code = finish(file, contents, /*synchronise=*/true);
  if (code == 0 && rename(fresh.c_str(), path.c_str()) != 0)
    code = errno;
  if (code) {
    unlink(fresh.c_str());
    return systemError(text, "cannot write the file", code);
  }
  return Error::success();
}

Error kvq::writeStandardOutput(StringRef text) {
  if (int code = writeAll(STDOUT_FILENO, text))
    return systemError("standard output", "cannot write", code);
  return Error::success();
}
