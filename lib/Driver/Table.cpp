//===- Table.cpp - Rows of text in columns --------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Table.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"

using namespace kvq;

/// Characters of a cell, not bytes.
static size_t columnsOf(llvm::StringRef text) {
  return llvm::count_if(text, [](char c) { return (uint8_t(c) & 0xc0) != 0x80; });
}

void kvq::appendRows(const Table &rows, llvm::raw_ostream &os) {
  std::vector<size_t> widths(rows.front().size(), 0);
  for (const auto &row : rows)
    for (auto [width, text] : llvm::zip_equal(widths, row))
      width = std::max(width, columnsOf(text));
  for (const auto &row : rows) {
    std::string line;
    for (auto [width, text] : llvm::zip_equal(widths, row))
      line += text + std::string(width - columnsOf(text) + 2, ' ');
    os << llvm::StringRef(line).rtrim() << '\n';
  }
}
