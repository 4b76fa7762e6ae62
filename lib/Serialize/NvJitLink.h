//===- NvJitLink.h - NVIDIA's assembler and linker as a library -*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_LIB_SERIALIZE_NVJITLINK_H
#define KVQ_LIB_SERIALIZE_NVJITLINK_H

#include "Codegen.h"
#include <optional>

namespace kvq {

/// The folders that may be the root of a CUDA toolkit, the likeliest first.
llvm::SmallVector<std::string> toolkitRoots();

/// `name` in `folder`.
std::string joinPath(llvm::StringRef folder, const llvm::Twine &name);

/// The line of an assembler's log that says what was wrong.
std::string firstError(llvm::StringRef log);

/// The functions of nvJitLink that kvq calls, as nvJitLink.h of CUDA 12 and 13
/// declares them; results and kinds of input are C enumerations there.
struct NvJitLink {
  /// What is linked, and what becomes of it.
  enum class Input { Cubin = 1, PTX = 2 };
  enum class Product { Executable, Relocatable };

  /// The library, once loaded, for good; null where there is none.
  static const NvJitLink *get();

  /// The files that `get` tries, in order, before it asks the system.
  static llvm::SmallVector<std::string> findFiles();

  /// The file that the library was loaded from.
  std::string getPath() const;

  /// Whether this release knows the chip and can make that of it.
  bool makes(Product product, const ChipInfo &chip) const;

  /// Links `inputs` for `chip`; nothing if this release does not know the chip
  /// or cannot make the product.
  llvm::Expected<std::optional<CodeObject>> link(llvm::ArrayRef<llvm::StringRef> inputs, Input kind,
                                                 Product product, const ChipInfo &chip) const;

private:
  class Session;
  using Handle = struct Opaque *;
  static constexpr int success = 0;
  static constexpr llvm::StringLiteral systemName = "libnvJitLink.so.13";

  /// Finds the functions in `library`; whether all are there.
  bool resolve(void *library);

  int (*create)(Handle *, uint32_t, const char **) = nullptr;
  int (*destroy)(Handle *) = nullptr;
  int (*addData)(Handle, int, const void *, size_t, const char *) = nullptr;
  int (*complete)(Handle) = nullptr;
  int (*cubinSize)(Handle, size_t *) = nullptr;
  int (*cubin)(Handle, void *) = nullptr;
  int (*logSize)(Handle, size_t *) = nullptr;
  int (*log)(Handle, char *) = nullptr;
};

} // namespace kvq

#endif // KVQ_LIB_SERIALIZE_NVJITLINK_H
