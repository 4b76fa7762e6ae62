//===- Progress.h - How far a compilation is --------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DRIVER_PROGRESS_H
#define KVQ_DRIVER_PROGRESS_H

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringRef.h"
#include <atomic>
#include <map>
#include <mutex>
#include <string>

namespace kvq {

/// One line on a terminal that says how many kernels of how many are done, in all
/// and of each target that work goes on for; nothing where the standard error is no
/// terminal. Any thread may report.
class Progress {
public:
  /// Silent unless `enabled` and the standard error is a terminal.
  explicit Progress(bool enabled);
  ~Progress();

  /// Work on a target begins, with that many kernels.
  void begin(llvm::StringRef target, size_t kernels);
  /// So many more of a target's kernels are done.
  void advance(llvm::StringRef target, size_t kernels);
  /// The target is done.
  void finish(llvm::StringRef target);
  /// Asks the compilation to stop, with an error, before its next kernel.
  void cancel() { isAskedToStop = true; }
  bool isCancelled() const { return isAskedToStop; }
  /// Takes the line away, so that others can write.
  void clear();

private:
  void show();

  std::mutex mutex;
  std::atomic<bool> isAskedToStop{false};
  bool isTerminal;
  /// Kernels done, of how many.
  struct Count {
    size_t done = 0, total = 0;
  };
  Count all;
  /// The targets at work, in the order in which they began.
  llvm::MapVector<std::string, Count, std::map<std::string, unsigned>> active;
};

} // namespace kvq

#endif // KVQ_DRIVER_PROGRESS_H
