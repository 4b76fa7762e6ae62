//===- Guard.cpp - Fatal errors of LLVM as values -------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A backend that cannot select an instruction calls report_fatal_error, which
// ends the process. kvq checks for the known cases first (LLVMIR.cpp); this is
// for the others. The way out is clang's and lld's: CrashRecoveryContext.
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CrashRecoveryContext.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <mutex>
#include <optional>

using namespace kvq;

namespace {

/// The message of a fatal error inside this thread's runGuarded; null outside.
thread_local std::string *fatalMessage = nullptr;

void onFatalError(void *, const char *reason, bool) {
  llvm::CrashRecoveryContext *recovery = llvm::CrashRecoveryContext::GetCurrent();
  if (!fatalMessage || !recovery) {
    llvm::errs() << "LLVM ERROR: " << reason << "\n";
    return;
  }
  *fatalMessage = reason;
  recovery->HandleExit(1);
}

void installOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::CrashRecoveryContext::Enable();
    llvm::install_fatal_error_handler(onFatalError);
  });
}

} // namespace

llvm::Error kvq::runGuarded(llvm::function_ref<llvm::Error()> body, bool &crashed) {
  installOnce();
  // Outlive the jump out of `body`, so neither may be a register variable.
  std::string message;
  std::optional<llvm::Error> result;
  fatalMessage = &message;
  llvm::CrashRecoveryContext recovery;
  crashed = !recovery.RunSafely([&] { result.emplace(body()); });
  fatalMessage = nullptr;
  if (!crashed)
    return std::move(*result);
  if (!message.empty())
    return oneLineError("LLVM cannot compile the module: " + message);
  return oneLineError("LLVM crashed on the module, code " + llvm::Twine(recovery.RetCode));
}

std::string kvq::oneLine(llvm::StringRef text) {
  llvm::SmallVector<llvm::StringRef> lines, kept;
  text.split(lines, '\n');
  for (llvm::StringRef line : lines)
    if (llvm::StringRef trimmed = line.trim(); !trimmed.empty())
      kept.push_back(trimmed);
  return llvm::join(kept, "; ");
}

llvm::Error kvq::oneLineError(const llvm::Twine &text) {
  return llvm::createStringError(oneLine(text.str()));
}

llvm::Expected<ScopedFile> ScopedFile::create(llvm::StringRef suffix, llvm::StringRef content) {
  int descriptor;
  llvm::SmallString<128> path;
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("kvq", suffix, descriptor, path))
    return llvm::createStringError(error, "cannot create a temporary file '" + path +
                                              "': " + error.message());
  ScopedFile file(path);
  llvm::raw_fd_ostream stream(descriptor, /*shouldClose=*/true);
  stream << content;
  stream.close();
  if (std::error_code error = stream.error()) {
    stream.clear_error();
    return llvm::createStringError(error, "cannot write the temporary file '" + path +
                                              "': " + error.message());
  }
  return file;
}

ScopedFile::ScopedFile(ScopedFile &&other) : name(std::move(other.name)) { other.name.clear(); }

ScopedFile::~ScopedFile() {
  if (!name.empty())
    (void)llvm::sys::fs::remove(name);
}

llvm::Expected<CodeObject> ScopedFile::read() const {
  auto buffer = llvm::MemoryBuffer::getFile(name, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return llvm::createStringError(buffer.getError(), "cannot read the temporary file '" + name +
                                                          "': " + buffer.getError().message());
  llvm::StringRef bytes = (*buffer)->getBuffer();
  return CodeObject(bytes.begin(), bytes.end());
}
