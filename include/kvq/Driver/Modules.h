//===- Modules.h - The compiler's stages on modules in memory ---*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What kvq-opt does with files, in process: text or bytecode in; text, bytecode
// or code out. Each call has a context of its own, so that any number of threads
// may call; errors are one line with the place in the module, and nothing is
// printed.
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_DRIVER_MODULES_H
#define KVQ_DRIVER_MODULES_H

#include "kvq/Support/Names.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/Error.h"

namespace kvq {

/// An error, with the file's name, where a module's text has brackets deeper than
/// MLIR's parser, which recurses, can take.
llvm::Error checkDepth(llvm::StringRef text, llvm::StringRef file);

/// How a module is written.
enum class ModuleForm { Text, Bytecode };

/// Parses the text or bytecode `source`, verifies it, runs the passes of
/// `pipeline` on it (empty for none; as `kvq-opt --pass-pipeline` takes it, the
/// enclosing 'builtin.module(…)' may be left out), and gives the result.
llvm::Expected<std::string> runPasses(llvm::StringRef source, llvm::StringRef pipeline,
                                      ModuleForm form);

/// The code of a module that is lowered to the end, in text or bytecode: for a
/// chip of the NVVM and ROCDL backends that of its one gpu.module. `kind` is one
/// of 'llvm-ir', 'assembly', 'ptx', 'cubin', 'hsaco', 'shared_object'; `chip`
/// may be empty where the module has a target.
llvm::Expected<std::string> translateModule(llvm::StringRef source, llvm::StringRef kind,
                                            llvm::StringRef chip);

} // namespace kvq

#endif // KVQ_DRIVER_MODULES_H
