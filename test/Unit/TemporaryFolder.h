//===- TemporaryFolder.h - A folder for one test ----------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_TEST_UNIT_TEMPORARYFOLDER_H
#define KVQ_TEST_UNIT_TEMPORARYFOLDER_H

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>

namespace kvq::test {

/// An empty folder, which goes with its contents at the end.
class TemporaryFolder {
public:
  TemporaryFolder() {
    // mkdtemp replaces six letters.
    std::string name =
        (std::filesystem::temp_directory_path() / "kvq-test-").string() + std::string(6, 'X');
    if (mkdtemp(name.data()))
      location = name;
    else
      ADD_FAILURE() << "cannot make a folder like " << name;
  }
  ~TemporaryFolder() {
    if (!location.empty())
      std::filesystem::remove_all(location);
  }
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;

  const std::filesystem::path &path() const { return location; }

private:
  std::filesystem::path location;
};

} // namespace kvq::test

#endif // KVQ_TEST_UNIT_TEMPORARYFOLDER_H
