//===- Linker.cpp - lld in process ----------------------------------------===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// lld's state is global, so links run one at a time. The objects of a layer take
// about a millisecond, those of a hundred layers ten, which no other thread of a
// compilation notices.
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"
#include "lld/Common/Driver.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Object/ArchiveWriter.h"
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

/// The global symbols of `object`: those that it defines and those that it needs.
llvm::Error collectSymbols(llvm::StringRef object, llvm::StringSet<> &defined,
                           llvm::SetVector<llvm::StringRef> &undefined) {
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(object, "kvq"));
  if (!file)
    return file.takeError();
  for (const llvm::object::SymbolRef &symbol : (*file)->symbols()) {
    llvm::Expected<uint32_t> flags = symbol.getFlags();
    if (!flags)
      return flags.takeError();
    llvm::Expected<llvm::StringRef> name = symbol.getName();
    if (!name)
      return name.takeError();
    if (name->empty())
      continue;
    if (*flags & llvm::object::SymbolRef::SF_Undefined)
      undefined.insert(*name);
    else if (*flags & llvm::object::SymbolRef::SF_Global)
      defined.insert(*name);
  }
  return llvm::Error::success();
}

llvm::Error checkUndefined(llvm::ArrayRef<llvm::StringRef> objects,
                           llvm::ArrayRef<llvm::StringRef> allowed) {
  llvm::StringSet<> defined;
  llvm::SetVector<llvm::StringRef> undefined;
  for (llvm::StringRef object : objects)
    if (llvm::Error error = collectSymbols(object, defined, undefined))
      return error;
  for (llvm::StringRef name : undefined)
    if (!defined.contains(name) && !llvm::is_contained(allowed, name))
      return oneLineError("undefined symbol '" + name + "'");
  return llvm::Error::success();
}

/// An archive of the objects, so that lld reads one file whatever their number.
llvm::Expected<ScopedFile> writeArchive(llvm::ArrayRef<llvm::StringRef> objects) {
  std::vector<llvm::NewArchiveMember> members;
  for (llvm::StringRef object : objects)
    members.emplace_back(llvm::MemoryBufferRef(object, "kvq.o"));
  auto archive = llvm::writeArchiveToBuffer(members, llvm::SymtabWritingMode::NoSymtab,
                                            llvm::object::Archive::K_GNU, /*Deterministic=*/true,
                                            /*Thin=*/false);
  if (!archive)
    return archive.takeError();
  return ScopedFile::create("a", (*archive)->getBuffer());
}

} // namespace

llvm::Expected<CodeObject> kvq::linkShared(llvm::ArrayRef<llvm::StringRef> objects,
                                           llvm::ArrayRef<const char *> options,
                                           llvm::ArrayRef<llvm::StringRef> allowed) {
  if (llvm::Error error = checkUndefined(objects, allowed))
    return error;
  auto input = writeArchive(objects);
  if (!input)
    return input.takeError();
  auto output = ScopedFile::create("so");
  if (!output)
    return output.takeError();

  // One thread: the order of the output is then never in question, and lld
  // starts no thread pool of its own.
  llvm::SmallVector<const char *> arguments{"ld.lld", "--threads=1", "-shared"};
  llvm::append_range(arguments, options);
  arguments.append({"--whole-archive", input->path().c_str(), "-o", output->path().c_str()});

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
