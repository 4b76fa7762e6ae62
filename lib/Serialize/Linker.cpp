//===- Linker.cpp - lld in process ----------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// lld's state is global, so links run one at a time. One object takes about a
// millisecond, which no other thread of a compilation notices.
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"
#include "lld/Common/Driver.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/CrashRecoveryContext.h"
#include "llvm/Support/MemoryBufferRef.h"
#include <mutex>

LLD_HAS_DRIVER(elf)

// lld's ELF driver calls llvm::cl::ResetAllOptionOccurrences on each link: with
// the shared libLLVM that would set every command line option of the program,
// kvqc's own too, back to its default, while other threads read them. kvq gives
// lld no option for it to parse, so nothing is lost by doing nothing. CMake has
// the linker send the call here.
extern "C" void __wrap__ZN4llvm2cl25ResetAllOptionOccurrencesEv() {}

using namespace kvq;

namespace {

llvm::Error checkUndefined(const CodeObject &object, llvm::ArrayRef<llvm::StringRef> allowed) {
  auto file = llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(llvm::StringRef(object.data(), object.size()), "kvq"));
  if (!file)
    return file.takeError();
  for (const llvm::object::SymbolRef &symbol : (*file)->symbols()) {
    llvm::Expected<uint32_t> flags = symbol.getFlags();
    if (!flags)
      return flags.takeError();
    llvm::Expected<llvm::StringRef> name = symbol.getName();
    if (!name)
      return name.takeError();
    if ((*flags & llvm::object::SymbolRef::SF_Undefined) && !name->empty() &&
        !llvm::is_contained(allowed, *name))
      return oneLineError("undefined symbol '" + *name + "'");
  }
  return llvm::Error::success();
}

} // namespace

llvm::Expected<CodeObject> kvq::linkShared(const CodeObject &object,
                                           llvm::ArrayRef<const char *> options,
                                           llvm::ArrayRef<llvm::StringRef> allowed) {
  if (llvm::Error error = checkUndefined(object, allowed))
    return error;
  auto input = ScopedFile::create("o", llvm::StringRef(object.data(), object.size()));
  if (!input)
    return input.takeError();
  auto output = ScopedFile::create("so");
  if (!output)
    return output.takeError();

  // One thread: the order of the output is then never in question, and lld
  // starts no thread pool of its own.
  llvm::SmallVector<const char *> arguments{"ld.lld", "--threads=1", "-shared"};
  llvm::append_range(arguments, options);
  arguments.append({input->path().c_str(), "-o", output->path().c_str()});

  static std::mutex mutex;
  static bool unusable = false;
  std::lock_guard<std::mutex> lock(mutex);
  if (unusable)
    return oneLineError("lld cannot run again after an internal error");
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  // lldMain leaves lld's fatal errors by way of CrashRecoveryContext.
  llvm::CrashRecoveryContext::Enable();
  lld::Result result = lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  unusable = !result.canRunAgain;
  if (result.retCode != 0)
    return oneLineError("lld failed: " + messages);
  return output->read();
}
