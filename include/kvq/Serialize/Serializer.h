//===- Serializer.h - From lowered modules to code objects ------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The last stage: modules in the NVVM, ROCDL or LLVM dialect become PTX, cubin,
// hsaco or a shared object, in process and in memory. Nothing here knows of kvq
// ops; the chip's facts come from ChipInfo.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_SERIALIZE_SERIALIZER_H
#define KVQ_SERIALIZE_SERIALIZER_H

#include "kvq/Target/ChipInfo.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include <string>

namespace mlir {
class Operation;
class DialectRegistry;
} // namespace mlir

namespace kvq {

/// The bytes of a code object or the text of PTX.
using CodeObject = llvm::SmallVector<char, 0>;

/// Registers the translations to LLVM IR that the functions below need.
void registerSerializationDialects(mlir::DialectRegistry &registry);

/// The LLVM IR of `module` (a gpu.module or builtin module whose functions are
/// llvm.func) after LLVM's optimisations for `chip`, as text; for --save-temps
/// and tests.
llvm::Expected<std::string> toLLVMIR(mlir::Operation *module, const ChipInfo &chip);

/// PTX for an NVVM chip.
llvm::Expected<std::string> toPTX(mlir::Operation *module, const ChipInfo &chip);

/// Assembles PTX for `chip` by the first assembler that is there: nvPTXCompiler
/// or nvJitLink where they can be loaded, else the program ptxas. Without any
/// the error says which ways were tried; isNoAssembler tells it from PTX that
/// was refused.
llvm::Expected<CodeObject> assemblePTX(llvm::StringRef ptx, const ChipInfo &chip);

/// Whether `error` (still unhandled) means that this machine has no way to
/// assemble PTX.
bool isNoAssembler(const llvm::Error &error);

/// A linked code object (version 5) for a ROCDL chip.
llvm::Expected<CodeObject> toHSACO(mlir::Operation *module, const ChipInfo &chip);

/// The same module's AMDGPU or host assembly, for tests that read instructions.
llvm::Expected<std::string> toAssembly(mlir::Operation *module, const ChipInfo &chip);

/// A shared object for this machine's architecture at the host baseline.
llvm::Expected<CodeObject> toSharedObject(mlir::Operation *module, const ChipInfo &chip);

} // namespace kvq

#endif // KVQ_SERIALIZE_SERIALIZER_H
