//===- Verify.cpp - kvqc verify -------------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "kvq/Driver/Verify.h"
#include "Commands.h"
#include "kvq/Support/OutputDirectory.h"

using namespace kvq;
namespace cl = llvm::cl;

static cl::SubCommand command("verify", R"(Checks a folder that 'kvqc compile' wrote

The manifest's schema, the SHA-256 of every file, that there is no other file, that every kernel
is in its code object and takes the arguments of the manifest. Kernels for this machine's CPU are
run on all 65,536 values of a 16-bit source type and all 256 codes of the cache, and held to the
bit to the reference; operations that it has no answer for are named and not run.

Code is loaded and run only after all hashes agree, from the bytes that were hashed. A hash tells
damage, not malice: use '--no-run' on a folder that you do not trust.

  kvqc verify kernels)");
static cl::OptionCategory category("Options of verify");
static cl::list<std::string> folders(cl::Positional, cl::desc("DIR"), cl::sub(command),
                                     cl::cat(category));
static cl::opt<bool> noRun("no-run", cl::desc("Load and run no code"), cl::sub(command),
                           cl::cat(category));

static llvm::Error run() {
  if (folders.size() != 1)
    return llvm::createStringError("expected one DIR, but got " + llvm::Twine(folders.size()));
  llvm::Expected<std::string> report = verifyArtefact(folders.front(), !noRun);
  if (!report)
    return report.takeError();
  return writeStandardOutput(*report);
}

Command kvq::verifyCommand() { return {&command, &category, run}; }
