//===- SharedObject.h - Code of this machine from memory --------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_ARTEFACT_SHAREDOBJECT_H
#define KVQ_ARTEFACT_SHAREDOBJECT_H

#include "kvq/Json/Result.h"
#include <string>
#include <string_view>

namespace kvq {

/// A shared object loaded from bytes, so that what runs is what was hashed.
/// Unloaded with the object.
class SharedObject {
public:
  /// Loads `bytes`, which runs their initialisers. `name` stands for them in
  /// failures. A loader trusts what it loads: bytes must come from
  /// ArtefactDirectory::read.
  static Result<SharedObject> load(std::string_view bytes, const std::string &name);

  SharedObject(SharedObject &&other) noexcept;
  SharedObject &operator=(SharedObject &&other) noexcept;
  ~SharedObject();

  /// The address of a symbol; null for none.
  void *find(const std::string &symbol) const;

private:
  SharedObject() = default;

  // Open as long as the library is loaded: the loader knows a library by its
  // path, '/proc/self/fd/N', which no other may take meanwhile.
  int file = -1;
  void *library = nullptr;
};

} // namespace kvq

#endif // KVQ_ARTEFACT_SHAREDOBJECT_H
