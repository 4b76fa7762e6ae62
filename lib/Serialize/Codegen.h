//===- Codegen.h - What the serialisers share -------------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_SERIALIZE_CODEGEN_H
#define KVQ_LIB_SERIALIZE_CODEGEN_H

#include "kvq/Serialize/Serializer.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/CodeGen.h"
#include "llvm/Support/FileUtilities.h"
#include <vector>

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace kvq {

/// Translates `module` to LLVM IR, optimises it for `chip` and hands it to
/// `use`. Everything that LLVM reports meanwhile, fatal errors included, comes
/// back as the Error.
llvm::Error
withOptimizedModule(mlir::Operation *module, const ChipInfo &chip,
                    llvm::function_ref<llvm::Error(llvm::Module &, llvm::TargetMachine &)> use);

/// `module`, optimised for `chip`, as an object file or assembly.
llvm::Expected<CodeObject> emitCode(mlir::Operation *module, const ChipInfo &chip,
                                    llvm::CodeGenFileType type);

/// An object file of the LLVM IR that `build` puts into an empty module, as it is.
llvm::Expected<CodeObject> emitObject(const ChipInfo &chip,
                                      llvm::function_ref<void(llvm::Module &)> build);

/// Runs `body` so that a fatal error or a crash of LLVM becomes an Error. What
/// `body` owns then is in no state to be destroyed: it must own nothing that it
/// cannot leak. `crashed` says that this happened.
llvm::Error runGuarded(llvm::function_ref<llvm::Error()> body, bool &crashed);

/// Links object files, in their order, to a shared object with lld; `options`
/// come before them. Symbols that stay undefined are an error unless in `allowed`.
llvm::Expected<CodeObject> linkShared(llvm::ArrayRef<llvm::StringRef> objects,
                                      llvm::ArrayRef<const char *> options,
                                      llvm::ArrayRef<llvm::StringRef> allowed);

/// The bytes of a code object.
inline llvm::StringRef bytesOf(const CodeObject &object) { return {object.data(), object.size()}; }

/// Copies of AMDGPU object files of which the first has the metadata of all and
/// the others have none, so that what is linked from them has one note, as from
/// a single object.
llvm::Expected<std::vector<CodeObject>> gatherNotes(llvm::ArrayRef<llvm::StringRef> objects);

/// Takes what LLVM puts behind the last kernel off the code of an AMDGPU object that
/// is linked before another one.
llvm::Error trimCodeEnd(CodeObject &object);

/// What the C library resolves when the host's shared object is loaded: LLVM
/// may call these whatever the source says.
llvm::ArrayRef<llvm::StringRef> hostRuntimeSymbols();

/// `text` on one line, without leading and trailing space.
std::string oneLine(llvm::StringRef text);

/// An Error of `text`'s lines on one line.
llvm::Error oneLineError(const llvm::Twine &text);

/// A file in the temporary folder that goes when this object does.
class ScopedFile {
public:
  /// Creates the file with `content`.
  static llvm::Expected<ScopedFile> create(llvm::StringRef suffix, llvm::StringRef content = {});

  ScopedFile(ScopedFile &&other);
  ~ScopedFile();

  const std::string &path() const { return name; }

  /// What it holds now.
  llvm::Expected<CodeObject> read() const;

private:
  explicit ScopedFile(llvm::StringRef name) : name(name) {}

  /// Empty when moved from.
  std::string name;
};

} // namespace kvq

#endif // KVQ_LIB_SERIALIZE_CODEGEN_H
