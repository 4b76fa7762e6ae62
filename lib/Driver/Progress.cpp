//===- Progress.cpp - How far a compilation is ----------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Progress.h"
#include "llvm/ADT/STLExtras.h"
#include <cstdio>
#include <unistd.h>

using namespace kvq;

Progress::Progress(bool enabled) : isTerminal(enabled && isatty(STDERR_FILENO)) {}

Progress::~Progress() { clear(); }

void Progress::begin(llvm::StringRef target, size_t kernels) {
  std::lock_guard<std::mutex> lock(mutex);
  total += kernels;
  active.push_back(target.str());
  show();
}

void Progress::finish(llvm::StringRef target, size_t kernels) {
  std::lock_guard<std::mutex> lock(mutex);
  done += kernels;
  llvm::erase(active, target);
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
  std::string names;
  for (const std::string &target : active)
    names += " " + target;
  std::fprintf(stderr, "\r\033[K%zu of %zu kernels done%s%s", done, total,
               names.empty() ? "" : ", now", names.c_str());
}
