//===- Refusal.h - How a function of the runtime fails ----------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inside the library what fails throws, so that what was opened is closed on the
// way out; no exception leaves the C interface.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_RUNTIME_REFUSAL_H
#define KVQ_LIB_RUNTIME_REFUSAL_H

#include "kvq/Runtime/kvq_runtime.h"
#include <new>
#include <stdexcept>
#include <string>

namespace kvq::runtime {

/// Thrown inside the library, caught at its interface.
class Refusal : public std::runtime_error {
public:
  Refusal(kvq_status status, const std::string &text, int32_t driverCode = 0)
      : std::runtime_error(text), status(status), driverCode(driverCode) {}

  kvq_status status;
  int32_t driverCode;
};

/// Fills `error`, which may be null; gives `status`.
kvq_status report(kvq_error *error, kvq_status status, const char *text,
                  int32_t driverCode = 0) noexcept;

/// `function`, whose exceptions become an error.
template <typename Function> kvq_status guard(kvq_error *error, Function function) noexcept {
  try {
    function();
    return KVQ_OK;
  } catch (const Refusal &failure) {
    return report(error, failure.status, failure.what(), failure.driverCode);
  } catch (const std::bad_alloc &) {
    return report(error, KVQ_ERROR_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception &exception) {
    return report(error, KVQ_ERROR_ARGUMENT, exception.what());
  }
}

} // namespace kvq::runtime

#endif // KVQ_LIB_RUNTIME_REFUSAL_H
