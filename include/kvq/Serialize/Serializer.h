//===- Serializer.h - From lowered modules to code objects ------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The last stage: modules in the NVVM, ROCDL or LLVM dialect become PTX, cubin,
// hsaco or a shared object, in process. Nothing here knows of kvq ops; the chip's
// facts come from ChipInfo.
//
// Every function may run in several threads at once, each with modules of an
// MLIRContext of its own, and gives the same bytes for the same module. Errors
// are one line. A module is refused if it is not lowered to the end: an FP8
// value, an operation of another dialect than LLVM and the chip's own, a chip
// without the FP8 conversion that it uses, no kernel, a symbol that nothing
// defines. Fatal errors of LLVM come back as errors too; for that its
// CrashRecoveryContext is enabled, which puts handlers on the process's signals
// of crashes, and its fatal error handler is kvq's.
//
// The kernels are the functions with `nvvm.kernel` or `rocdl.kernel`, on the host
// all public ones; everything else becomes internal.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_SERIALIZE_SERIALIZER_H
#define KVQ_SERIALIZE_SERIALIZER_H

#include "kvq/Target/ChipInfo.h"
#include "llvm/ADT/ArrayRef.h"
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

/// Assembles PTX for `chip` by the first assembler that is there: the library
/// nvJitLink, else the program ptxas. They are looked for below KVQ_CUDA_PATH,
/// CUDA_HOME and CUDA_PATH, in the wheels of the active virtual environment, in
/// the toolkit that CMake found, in /usr/local/cuda, in the wheels of the source
/// tree's .venv, and where the system finds libraries and programs. The
/// environment variable KVQ_PTX_ASSEMBLER chooses one, `nvjitlink` or `ptxas`, or
/// `none`, as if the machine had neither. Without any the error says so;
/// isNoAssembler tells it from PTX that was refused.
llvm::Expected<CodeObject> assemblePTX(llvm::StringRef ptx, const ChipInfo &chip);

/// Whether `error` (still unhandled) means that this machine has no way to
/// assemble PTX.
bool isNoAssembler(const llvm::Error &error);

/// A relocatable object of a ROCDL chip or the host, of which linkHSACO or
/// linkSharedObject makes a code object with others.
llvm::Expected<CodeObject> toObject(mlir::Operation *module, const ChipInfo &chip);

/// One PTX of the parts that toPTX made for one chip, in their order, whose
/// kernels have different names.
llvm::Expected<std::string> joinPTX(llvm::ArrayRef<llvm::StringRef> parts);

/// Whether this machine can make a cubin of parts that were assembled one by one:
/// with an nvJitLink that makes relocatable cubins, or with ptxas and nvlink.
bool canLinkCubins(const ChipInfo &chip);

/// Assembles PTX to a relocatable cubin, by the same assembler as assemblePTX.
llvm::Expected<CodeObject> assemblePTXPart(llvm::StringRef ptx, const ChipInfo &chip);

/// A cubin of the kernels of several relocatable ones.
llvm::Expected<CodeObject> linkCubins(llvm::ArrayRef<llvm::StringRef> cubins, const ChipInfo &chip);

/// The files that assemblePTX and the two above look at on this machine, by size
/// and time: what they give is the same while this text is. Loads none of them
/// unless nvJitLink is only where the system finds libraries.
std::string describeAssemblers();

/// A linked code object (version 5) for a ROCDL chip, without device libraries.
llvm::Expected<CodeObject> toHSACO(mlir::Operation *module, const ChipInfo &chip);

/// The same of objects of one chip, in their order, with one note that describes
/// the kernels of all.
llvm::Expected<CodeObject> linkHSACO(llvm::ArrayRef<llvm::StringRef> objects);

/// The same module's assembly (for an NVVM chip its PTX), for tests that read
/// instructions.
llvm::Expected<std::string> toAssembly(mlir::Operation *module, const ChipInfo &chip);

/// A shared object for this machine's architecture at the host baseline
/// (x86-64-v3; armv8-a on aarch64), which exports the module's public functions.
/// It needs no library; memcpy, memmove and memset come from its process.
llvm::Expected<CodeObject> toSharedObject(mlir::Operation *module, const ChipInfo &chip);

/// The same of objects of the host, in their order.
llvm::Expected<CodeObject> linkSharedObject(llvm::ArrayRef<llvm::StringRef> objects,
                                            const ChipInfo &chip);

} // namespace kvq

#endif // KVQ_SERIALIZE_SERIALIZER_H
