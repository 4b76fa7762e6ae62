//===- TestPasses.h - Passes of kvq-test-opt alone --------------*- C++ -*-===//
//
// Part of the kvq project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef KVQ_TEST_LIB_TESTPASSES_H
#define KVQ_TEST_LIB_TESTPASSES_H

namespace kvq::test {

/// `kvq-test-emulate-gpu`: kernels in the NVVM or ROCDL dialect become functions
/// of this machine.
void registerEmulateGpuPass();

/// `kvq-test-write-shared-object{file=…}`: the module as a file for dlopen.
void registerWriteSharedObjectPass();

} // namespace kvq::test

#endif // KVQ_TEST_LIB_TESTPASSES_H
