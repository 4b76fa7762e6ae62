//===- Statistics.cpp - Times and what is said of them --------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Statistics.h"
#include <algorithm>

using namespace kvq::bench;

double kvq::bench::secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

llvm::json::Object kvq::bench::summarize(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  size_t middle = seconds.size() / 2;
  double median =
      seconds.size() % 2 ? seconds[middle] : (seconds[middle - 1] + seconds[middle]) / 2;
  return llvm::json::Object{
      {"min", seconds.front()}, {"median", median}, {"runs", int64_t(seconds.size())}};
}
