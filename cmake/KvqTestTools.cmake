# What the tests run: Python with the packages of utils/requirements.txt, lit, ptxas and nvdisasm, and the environment of every test.
include_guard()

set(KVQ_TEST_RESULTS "${PROJECT_BINARY_DIR}/test/results")
file(MAKE_DIRECTORY "${KVQ_TEST_RESULTS}")

# utils/setup makes .venv; an environment that is active, or packages of the system, serve as well.
find_program(KVQ_PYTHON NAMES python3 python HINTS "${PROJECT_SOURCE_DIR}/.venv/bin" "$ENV{VIRTUAL_ENV}/bin" REQUIRED
  DOC "Python with pytest, numpy and ml_dtypes")

find_program(KVQ_LIT_PROGRAM NAMES lit lit.py
  HINTS "${PROJECT_SOURCE_DIR}/.venv/bin" "$ENV{VIRTUAL_ENV}/bin" "${LLVM_TOOLS_BINARY_DIR}" "${LLVM_TOOLS_BINARY_DIR}/../build/utils/lit"
  DOC "LLVM's lit")
if(KVQ_LIT_PROGRAM)
  set(KVQ_LIT "${KVQ_PYTHON}" "${KVQ_LIT_PROGRAM}")
else()
  message(WARNING "lit not found: its tests will fail; run utils/setup")
  set(KVQ_LIT lit)
endif()

file(GLOB kvq_cuda_wheels "${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/nvidia/cu13/bin")
set(kvq_cuda_hints "$ENV{CUDA_HOME}/bin" "$ENV{CUDA_PATH}/bin" /usr/local/cuda/bin ${kvq_cuda_wheels})
find_program(KVQ_PTXAS ptxas HINTS ${kvq_cuda_hints} DOC "CUDA's assembler, for tests of cubins")
find_program(KVQ_NVDISASM nvdisasm HINTS ${kvq_cuda_hints} DOC "CUDA's disassembler, for tests of SASS")

# The environment of every test: without the compile cache of whoever runs it, so that what is tested is the compiler.
set(KVQ_TEST_ENVIRONMENT "KVQ_CACHE_DIR=")
if(KVQ_SANITIZE)
  list(APPEND KVQ_TEST_ENVIRONMENT "ASAN_OPTIONS=${KVQ_ASAN_OPTIONS}" "UBSAN_OPTIONS=${KVQ_UBSAN_OPTIONS}"
    "ASAN_SYMBOLIZER_PATH=${LLVM_TOOLS_BINARY_DIR}/llvm-symbolizer")
endif()
