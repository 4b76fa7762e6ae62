//===- HostCall.cpp - Calls of functions known by address -----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Artefact/HostCall.h"
#include <array>
#include <utility>

using namespace kvq;

// The code comes from a file: there is no type beside it that a sanitizer could
// compare.
#if defined(__clang__)
#define KVQ_UNCHECKED_CALL __attribute__((no_sanitize("function")))
#else
#define KVQ_UNCHECKED_CALL
#endif

// One function type for each number of arguments is enough: of an i32 the unused
// half of its place is not read.
template <size_t> using Word = uint64_t;

template <size_t... places>
KVQ_UNCHECKED_CALL static void call(void *function, const uint64_t *arguments,
                                    std::index_sequence<places...>) {
  reinterpret_cast<void (*)(Word<places>...)>(function)(arguments[places]...);
}

template <size_t count> static void callWith(void *function, const uint64_t *arguments) {
  call(function, arguments, std::make_index_sequence<count>());
}

template <size_t... counts> static constexpr auto makeCalls(std::index_sequence<counts...>) {
  return std::array<void (*)(void *, const uint64_t *), sizeof...(counts)>{callWith<counts>...};
}

bool kvq::callHostKernel(void *function, const uint64_t *arguments, size_t count) noexcept {
  static constexpr auto calls = makeCalls(std::make_index_sequence<kMaxHostArguments + 1>());
  if (count >= calls.size())
    return false;
  calls[count](function, arguments);
  return true;
}
