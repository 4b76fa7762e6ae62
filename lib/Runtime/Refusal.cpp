//===- Refusal.cpp - How a function of the runtime fails ------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Refusal.h"
#include <cstring>

using namespace kvq;

kvq_status runtime::report(kvq_error *error, kvq_status status, const char *text,
                           int32_t driverCode) noexcept {
  if (!error)
    return status;
  error->status = status;
  error->driver_code = driverCode;
  constexpr char cut[] = "...";
  constexpr size_t room = sizeof(error->message) - 1;
  size_t length = strlen(text), kept = length;
  if (length > room) {
    kept = room - strlen(cut);
    // Not within a character of UTF-8.
    while (kept && (text[kept] & 0xc0) == 0x80)
      --kept;
  }
  for (size_t i = 0; i < kept; ++i)
    // A driver's or linker's text may have several lines.
    error->message[i] = text[i] == '\n' || text[i] == '\r' ? ' ' : text[i];
  strcpy(error->message + kept, length > room ? cut : "");
  return status;
}
