//===- Table.h - Rows of text in columns ------------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_DRIVER_TABLE_H
#define KVQ_LIB_DRIVER_TABLE_H

#include "llvm/Support/raw_ostream.h"
#include <string>
#include <vector>

namespace kvq {

/// Rows of as many cells each.
using Table = std::vector<std::vector<std::string>>;

/// Writes `rows`, which has at least one, with their columns aligned.
void appendRows(const Table &rows, llvm::raw_ostream &os);

} // namespace kvq

#endif // KVQ_LIB_DRIVER_TABLE_H
