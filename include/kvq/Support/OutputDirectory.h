//===- OutputDirectory.h - Outputs that are there whole or not at all *- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_SUPPORT_OUTPUTDIRECTORY_H
#define KVQ_SUPPORT_OUTPUTDIRECTORY_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace kvq {

/// A file of an output folder.
struct OutputFile {
  std::string name;
  std::string contents;
};

/// How a folder is known that may be replaced: by a file whose first bytes hold
/// a text.
struct OutputMark {
  llvm::StringRef file;
  llvm::StringRef text;
};

/// Whether writeOutputDirectory could write `path` now, as far as can be told
/// without leaving a trace. A path may be absent in a folder that exists, an
/// empty folder, or a folder with the mark. Errors are one line that starts with
/// the path.
llvm::Error checkOutputDirectory(llvm::StringRef path, const OutputMark &mark);

/// Puts a folder with exactly `files` at `path`. They are written into a folder
/// beside it, which then takes its place in one step, so that `path` is the old
/// or the new folder at any time. SIGINT, SIGTERM and SIGHUP wait until nothing
/// is left half done; a process of several threads should block them elsewhere.
llvm::Error writeOutputDirectory(llvm::StringRef path, const OutputMark &mark,
                                 llvm::ArrayRef<OutputFile> files);

/// Writes one file in the same manner. An existing file is replaced; anything
/// else at `path` but a device or a pipe, which are written to, is an error.
llvm::Error writeOutputFile(llvm::StringRef path, llvm::StringRef contents);

/// Writes `text` to the standard output; a full disk is an error and not fatal.
llvm::Error writeStandardOutput(llvm::StringRef text);

} // namespace kvq

#endif // KVQ_SUPPORT_OUTPUTDIRECTORY_H
