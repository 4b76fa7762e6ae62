//===- SharedObject.cpp - Code of this machine from memory ----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Artefact/SharedObject.h"
#include "kvq/Json/Quote.h"
#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace kvq;

SharedObject::SharedObject(SharedObject &&other) noexcept
    : file(std::exchange(other.file, -1)), library(std::exchange(other.library, nullptr)) {}

SharedObject &SharedObject::operator=(SharedObject &&other) noexcept {
  std::swap(file, other.file);
  std::swap(library, other.library);
  return *this;
}

SharedObject::~SharedObject() {
  if (library)
    dlclose(library);
  if (file >= 0)
    close(file);
}

/// 0 or errno.
static int writeAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return errno;
    bytes.remove_prefix(size_t(count));
  }
  return 0;
}

Result<SharedObject> SharedObject::load(std::string_view bytes, const std::string &name) {
  auto failure = [&](const std::string &text) { return Failure{escapeText(name) + ": " + text}; };
  SharedObject object;
  object.file = memfd_create("kvq", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (object.file < 0)
    return failure(std::string("cannot make a file in memory: ") + std::strerror(errno));
  if (int code = writeAll(object.file, bytes))
    return failure(std::string("cannot write a file in memory: ") + std::strerror(code));
  // Another process of the user could write to it through /proc otherwise.
  fcntl(object.file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  std::string path = "/proc/self/fd/" + std::to_string(object.file);
  object.library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!object.library) {
    const char *reason = dlerror();
    return failure("cannot load the shared object: " + escapeText(reason ? reason : "no reason"));
  }
  return object;
}

void *SharedObject::find(const std::string &symbol) const { return dlsym(library, symbol.c_str()); }
