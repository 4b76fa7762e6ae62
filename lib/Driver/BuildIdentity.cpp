//===- BuildIdentity.cpp - Which build of kvq this is ---------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A linker gives what it makes an identity, a hash of it, in a note that is
// loaded with the code (ld's --build-id). The objects that count are the one that
// holds this file and the libraries of LLVM and MLIR. Where one has no such note,
// its file is hashed.
//
//===----------------------------------------------------------------------===//

#include "BuildIdentity.h"
#include "kvq/Driver/Compile.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"
#include <elf.h>
#include <link.h>

using namespace llvm;

namespace {

/// The objects that count, each by its identity.
struct LoadedObjects {
  std::vector<std::string> identities;
  bool hasOwn = false, isComplete = true;
};

} // namespace

/// The build id among the notes in `bytes`; empty if there is none.
static StringRef findBuildId(StringRef bytes) {
  auto padded = [](size_t size) { return (size + 3) / 4 * 4; };
  while (bytes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) header;
    memcpy(&header, bytes.data(), sizeof(header));
    bytes = bytes.drop_front(sizeof(header));
    size_t nameSize = padded(header.n_namesz), size = nameSize + padded(header.n_descsz);
    if (size > bytes.size())
      break;
    if (header.n_type == NT_GNU_BUILD_ID && bytes.starts_with(StringRef("GNU\0", 4)))
      return bytes.substr(nameSize, header.n_descsz);
    bytes = bytes.drop_front(size);
  }
  return "";
}

/// Where a file has no build id, a hash of its contents; empty if it cannot be
/// read.
static std::string hashFile(StringRef path) {
  auto buffer = MemoryBuffer::getFile(path);
  if (!buffer)
    return "";
  auto digest = SHA256::hash(arrayRefFromStringRef((*buffer)->getBuffer()));
  return std::string(digest.begin(), digest.end());
}

/// dl_iterate_phdr's callback.
static int visitObject(dl_phdr_info *info, size_t, void *data) {
  auto &objects = *static_cast<LoadedObjects *>(data);
  auto own = reinterpret_cast<uintptr_t>(&visitObject);
  ArrayRef<ElfW(Phdr)> segments(info->dlpi_phdr, info->dlpi_phnum);
  bool isOwn = any_of(segments, [&](const ElfW(Phdr) & segment) {
    return segment.p_type == PT_LOAD && own - (info->dlpi_addr + segment.p_vaddr) < segment.p_memsz;
  });
  StringRef path = *info->dlpi_name ? info->dlpi_name : "/proc/self/exe";
  StringRef name = sys::path::filename(path);
  if (!isOwn && !name.starts_with("libLLVM") && !name.starts_with("libMLIR"))
    return 0;
  objects.hasOwn |= isOwn;
  std::string identity;
  for (const ElfW(Phdr) &segment : segments)
    if (segment.p_type == PT_NOTE && identity.empty())
      identity = findBuildId(
          {reinterpret_cast<const char *>(info->dlpi_addr + segment.p_vaddr), segment.p_memsz});
  if (identity.empty())
    identity = hashFile(path);
  objects.isComplete &= !identity.empty();
  objects.identities.push_back(std::move(identity));
  return 0;
}

static std::string computeIdentity() {
  LoadedObjects objects;
  dl_iterate_phdr(visitObject, &objects);
  if (!objects.hasOwn || !objects.isComplete)
    return "";
  sort(objects.identities);
  SHA256 hash;
  hash.update(kvq::getProducer());
  hash.update(LLVM_VERSION_STRING);
  for (const std::string &identity : objects.identities)
    hash.update(identity);
  auto digest = hash.final();
  return toHex(ArrayRef<uint8_t>(digest), /*LowerCase=*/true);
}

StringRef kvq::getBuildIdentity() {
  static const std::string identity = computeIdentity();
  return identity;
}
