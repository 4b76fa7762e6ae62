//===- DriverLibrary.h - A driver that may not be there ---------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_RUNTIME_DRIVERLIBRARY_H
#define KVQ_LIB_RUNTIME_DRIVERLIBRARY_H

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace kvq::runtime {

/// A shared library of a driver, opened when it is first asked for and never
/// closed: drivers leave threads and handlers behind.
class DriverLibrary {
public:
  /// Opens the first of `names` that is there, one that the process already has
  /// before others; where the environment has `variable`, the file that it names
  /// alone. Throws KVQ_ERROR_DEVICE where there is none.
  DriverLibrary(const char *variable, const std::vector<const char *> &names);

  /// The address of a function; null where the library has none.
  void *find(const char *function) const;

  /// The same; throws KVQ_ERROR_DEVICE where the library has none.
  template <typename Function> void require(const char *name, Function *&function) const {
    function = reinterpret_cast<Function *>(findRequired(name));
  }
  template <typename Function> void request(const char *name, Function *&function) const {
    function = reinterpret_cast<Function *>(find(name));
  }

  /// The file that was opened.
  const std::string &getName() const { return name; }

private:
  void *findRequired(const char *function) const;

  std::string name;
  void *handle;
};

/// The functions of a driver, which `Api` takes from its library; each library is
/// asked once. Arguments as of DriverLibrary.
template <typename Api>
const Api &driverApi(const char *variable, const std::vector<const char *> &names) {
  DriverLibrary library(variable, names);
  static std::mutex mutex;
  // Not destroyed: an artefact may be closed after static objects are.
  static auto *apis = new std::map<std::string, Api>;
  std::lock_guard<std::mutex> lock(mutex);
  auto found = apis->find(library.getName());
  if (found == apis->end())
    found = apis->emplace(library.getName(), Api(library)).first;
  return found->second;
}

} // namespace kvq::runtime

#endif // KVQ_LIB_RUNTIME_DRIVERLIBRARY_H
