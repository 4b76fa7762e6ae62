//===- Statistics.h - Times and what is said of them ------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_BENCHMARKS_STATISTICS_H
#define KVQ_BENCHMARKS_STATISTICS_H

#include "llvm/Support/JSON.h"
#include <chrono>
#include <vector>

namespace kvq::bench {

using Clock = std::chrono::steady_clock;

/// Seconds since `start`.
double secondsSince(Clock::time_point start);

/// {"min": …, "median": …, "runs": …} of `seconds`, which is not empty; the
/// numbers in seconds.
llvm::json::Object summarize(std::vector<double> seconds);

} // namespace kvq::bench

#endif // KVQ_BENCHMARKS_STATISTICS_H
