//===- DriverLibrary.cpp - A driver that may not be there -----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DriverLibrary.h"
#include "Refusal.h"
#include "kvq/Json/Quote.h"
#include <cstdlib>
#include <dlfcn.h>

using namespace kvq;
using namespace kvq::runtime;

DriverLibrary::DriverLibrary(const char *variable, const std::vector<const char *> &names) {
  std::vector<const char *> tried = names;
  // Not heeded in a program with more rights than its user.
  if (const char *named = secure_getenv(variable))
    tried = {named};
  // A framework may bring a driver library of its own, and two in one process do
  // not share contexts.
  for (int flags : {RTLD_NOLOAD, 0})
    for (const char *candidate : tried)
      if ((handle = dlopen(candidate, RTLD_NOW | RTLD_LOCAL | flags))) {
        name = candidate;
        return;
      }
  const char *reason = dlerror();
  throw Refusal(KVQ_ERROR_DEVICE, "cannot open " + quoteName(tried.front()) + ": " +
                                      (reason ? reason : "unknown error"));
}

void *DriverLibrary::find(const char *function) const { return dlsym(handle, function); }

void *DriverLibrary::findRequired(const char *function) const {
  if (void *found = find(function))
    return found;
  throw Refusal(KVQ_ERROR_DEVICE, escapeText(name) + ": expected a driver with " +
                                      quoteName(function) + ", but it has none");
}
