//===- Progress.cpp - How far a compilation is ----------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Progress.h"
#include <algorithm>
#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>

using namespace kvq;

Progress::Progress(bool enabled) : isTerminal(enabled && isatty(STDERR_FILENO)) {}

Progress::~Progress() { clear(); }

void Progress::begin(llvm::StringRef target, size_t kernels) {
  std::lock_guard<std::mutex> lock(mutex);
  all.total += kernels;
  active[target.str()].total = kernels;
  show();
}

void Progress::advance(llvm::StringRef target, size_t kernels) {
  std::lock_guard<std::mutex> lock(mutex);
  all.done += kernels;
  active[target.str()].done += kernels;
  show();
}

void Progress::finish(llvm::StringRef target) {
  std::lock_guard<std::mutex> lock(mutex);
  active.erase(target.str());
  show();
}

void Progress::clear() {
  std::lock_guard<std::mutex> lock(mutex);
  if (isTerminal)
    std::fputs("\r\033[K", stderr);
}

void Progress::show() {
  if (!isTerminal)
    return;
  std::string text =
      std::to_string(all.done) + " of " + std::to_string(all.total) + " kernels done";
  for (auto &[target, count] : active)
    text += (&target == &active.begin()->first ? ": " : ", ") + target + " " +
            std::to_string(count.done) + " of " + std::to_string(count.total);
  // A line that wraps could not be taken away again.
  winsize size;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    text.resize(std::min<size_t>(text.size(), size.ws_col - 1));
  std::fprintf(stderr, "\r\033[K%s", text.c_str());
}
