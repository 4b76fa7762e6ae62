//===- CompileCache.h - What earlier compilations left ----------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A folder of files, each named by a hash of all that its contents follow from.
// Any number of processes use it at once, and it has no locks: a file appears
// whole, by a rename, holds a hash of its contents, and goes whole. What cannot
// be read or written, or is damaged, is as if it were not there: a cache can make
// a compilation quicker, never fail.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_COMPILECACHE_H
#define KVQ_LIB_DRIVER_COMPILECACHE_H

#include "kvq/Driver/Compile.h"
#include "llvm/Support/SHA256.h"
#include <atomic>

namespace kvq {

/// Makes the name of an entry of what its contents follow from. Begins with what
/// every entry follows from: this program and the libraries of LLVM it runs with.
class CacheKey {
public:
  CacheKey();

  /// Adds a text; where one ends and the next begins counts.
  CacheKey &add(llvm::StringRef text);
  CacheKey &add(uint64_t number);

  /// 64 hexadecimal digits.
  std::string take();

private:
  llvm::SHA256 hash;
};

class CompileCache {
public:
  /// No cache where `options` names no folder, where it cannot be made, or where
  /// this program cannot tell itself from another build.
  explicit CompileCache(const CacheOptions &options);

  bool isEnabled() const { return !folder.empty(); }

  /// The contents of an entry, which counts as used now.
  std::optional<std::string> get(llvm::StringRef key) const;

  /// Adds an entry.
  void put(llvm::StringRef key, llvm::StringRef contents);

  /// Removes the entries that were not used for longest until the others are
  /// within the limit, and what killed processes left half written.
  void prune() const;

private:
  std::string pathOf(llvm::StringRef name) const;

  std::string folder;
  uint64_t sizeLimit;
  std::atomic<unsigned> numPut{0};
};

} // namespace kvq

#endif // KVQ_LIB_DRIVER_COMPILECACHE_H
