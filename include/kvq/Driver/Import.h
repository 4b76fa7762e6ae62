//===- Import.h - What kvqc import does -------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DRIVER_IMPORT_H
#define KVQ_DRIVER_IMPORT_H

#include "kvq/Driver/Input.h"

namespace kvq {

/// The module of an input's unresolved layers, as text.
llvm::Expected<std::string> importToText(const InputOptions &options);

} // namespace kvq

#endif // KVQ_DRIVER_IMPORT_H
