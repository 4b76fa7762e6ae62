//===- consumer.cpp - A project that uses an installed kvq ----------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Target/ChipInfo.h"
#include "llvm/Support/raw_ostream.h"

int main(int argc, char **argv) {
  const kvq::ChipInfo *chip = argc == 2 ? kvq::findChip(argv[1]) : nullptr;
  if (chip)
    llvm::outs() << chip->name << ": " << chip->waveSize << " threads together\n";
  return chip ? 0 : 1;
}
