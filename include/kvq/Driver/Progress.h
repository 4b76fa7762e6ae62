//===- Progress.h - How far a compilation is --------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DRIVER_PROGRESS_H
#define KVQ_DRIVER_PROGRESS_H

#include "llvm/ADT/StringRef.h"
#include <mutex>
#include <string>
#include <vector>

namespace kvq {

/// One line on a terminal that says how many kernels of how many are done, and
/// for which targets work goes on; nothing where the standard error is no
/// terminal. Any thread may report.
class Progress {
public:
  /// Silent unless `enabled` and the standard error is a terminal.
  explicit Progress(bool enabled);
  ~Progress();

  /// Work on a target begins, with that many kernels.
  void begin(llvm::StringRef target, size_t kernels);
  /// Its kernels are done.
  void finish(llvm::StringRef target, size_t kernels);
  /// Takes the line away, so that others can write.
  void clear();

private:
  void show();

  std::mutex mutex;
  bool isTerminal;
  size_t done = 0, total = 0;
  std::vector<std::string> active;
};

} // namespace kvq

#endif // KVQ_DRIVER_PROGRESS_H
