# kvq_add_library, kvq_add_tool, kvq_tablegen, kvq_add_unittest: thin wrappers, so that every folder of lib/ reads alike.
include_guard()

# An installed program finds the shared libraries that it was linked with.
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)

add_custom_target(kvq-headers)

add_library(kvq_options INTERFACE)
target_include_directories(kvq_options INTERFACE
  "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
  "$<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>"
  "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
# LLVM and MLIR are used through their shared libraries; their headers are the system's, so that -Wall speaks of kvq alone.
target_include_directories(kvq_options SYSTEM INTERFACE "$<BUILD_INTERFACE:${MLIR_INCLUDE_DIRS}>")
target_compile_options(kvq_options INTERFACE "$<BUILD_INTERFACE:-Wall;-Wextra;-Wno-unused-parameter>")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Reported on LLVM's own templates, instantiated in kvq's files.
  target_compile_options(kvq_options INTERFACE "$<BUILD_INTERFACE:-Wno-maybe-uninitialized>")
endif()
if(KVQ_WARNINGS_AS_ERRORS)
  target_compile_options(kvq_options INTERFACE "$<BUILD_INTERFACE:-Werror>")
endif()
if(KVQ_SANITIZE)
  target_compile_options(kvq_options INTERFACE "-fsanitize=${KVQ_SANITIZE}" -fno-sanitize-recover=all -fno-sanitize=vptr -fno-omit-frame-pointer)
  target_link_options(kvq_options INTERFACE "-fsanitize=${KVQ_SANITIZE}" -fno-sanitize=vptr)

  # Only kvq is instrumented, LLVM's shared libraries are not. LLVM's headers poison the unused part of their allocators' slabs when compiled with
  # AddressSanitizer, which code inside the libraries never unpoisons: so user poisoning is off. LLVM's libraries give the thread that first opens an
  # output a signal stack of their own, which AddressSanitizer would take for its own and unmap: so it has none. Every program has these options as
  # its defaults, and the tests have them in their environment. A finding aborts, which no test takes for a refusal with exit status 1.
  set(KVQ_ASAN_OPTIONS "allow_user_poisoning=0:use_sigaltstack=0:detect_container_overflow=0:detect_leaks=1:strict_string_checks=1:abort_on_error=1")
  set(KVQ_UBSAN_OPTIONS "print_stacktrace=1:halt_on_error=1:abort_on_error=1")
  file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/sanitizer_options.c" @ONLY CONTENT [[
__attribute__((visibility("default"))) const char *__asan_default_options(void) { return "@KVQ_ASAN_OPTIONS@"; }
__attribute__((visibility("default"))) const char *__ubsan_default_options(void) { return "@KVQ_UBSAN_OPTIONS@"; }
]])
  set(KVQ_PROGRAM_SOURCES "${PROJECT_BINARY_DIR}/sanitizer_options.c")
endif()

# kvq_tablegen(OUTPUT TABLEGEN TD ARGS...): runs TABLEGEN over TD (relative to the current source folder) into
# ${PROJECT_BINARY_DIR}/include at the same relative place; the target kvq-headers, which every library waits for, makes them all.
macro(kvq_tablegen output tablegen td)
  file(RELATIVE_PATH _kvq_rel "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  set(_kvq_out "${PROJECT_BINARY_DIR}/${_kvq_rel}/${output}")
  string(MAKE_C_IDENTIFIER "${_kvq_rel}/${output}" _kvq_id)
  add_custom_command(OUTPUT "${_kvq_out}"
    COMMAND "${tablegen}" ${ARGN} "-I$<JOIN:${MLIR_INCLUDE_DIRS},;-I>" "-I${PROJECT_SOURCE_DIR}/include"
            "${CMAKE_CURRENT_SOURCE_DIR}/${td}" -o "${_kvq_out}" -d "${_kvq_out}.d" --write-if-changed
    DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${td}"
    DEPFILE "${_kvq_out}.d"
    COMMAND_EXPAND_LISTS VERBATIM
    COMMENT "tablegen ${output}")
  add_custom_target("generate-${_kvq_id}" DEPENDS "${_kvq_out}")
  add_dependencies(kvq-headers "generate-${_kvq_id}")
endmacro()

# kvq_add_library(Name SOURCES... LINK targets...): the library kvq::Name of lib/Name with the headers of include/kvq/Name.
function(kvq_add_library name)
  cmake_parse_arguments(ARG "" "" "LINK;PRIVATE_LINK" ${ARGN})
  add_library(kvq${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  add_library(kvq::${name} ALIAS kvq${name})
  set_target_properties(kvq${name} PROPERTIES EXPORT_NAME ${name})
  file(GLOB headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/include/kvq/${name}/*.h" "${PROJECT_SOURCE_DIR}/include/kvq/${name}/*.def")
  target_sources(kvq${name} PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES ${headers})
  target_link_libraries(kvq${name} PUBLIC kvq_options ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
  add_dependencies(kvq${name} kvq-headers)
  set_property(GLOBAL APPEND PROPERTY KVQ_LIBRARIES kvq${name})
endfunction()

# kvq_add_tool(name SOURCES... LINK targets...): a program in build/<preset>/bin.
function(kvq_add_tool name)
  cmake_parse_arguments(ARG "NO_INSTALL" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS} ${KVQ_PROGRAM_SOURCES})
  target_link_libraries(${name} PRIVATE kvq_options ${ARG_LINK})
  add_dependencies(${name} kvq-headers)
  if(NOT ARG_NO_INSTALL)
    set_property(GLOBAL APPEND PROPERTY KVQ_TOOLS ${name})
  endif()
endfunction()

# kvq_add_unittest(Name SOURCES... LINK targets...): a gtest program, one CTest test per case.
function(kvq_add_unittest name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS} ${KVQ_PROGRAM_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/test/Unit")
  target_link_libraries(${name} PRIVATE kvq_options ${ARG_LINK} GTest::gtest GTest::gtest_main)
  add_dependencies(${name} kvq-headers)
  gtest_discover_tests(${name} TEST_PREFIX "Unit/" DISCOVERY_MODE PRE_TEST PROPERTIES LABELS unit ENVIRONMENT "${KVQ_TEST_ENVIRONMENT}")
endfunction()

# kvq_add_lit_suite(Folder): the lit tests of test/Folder as the CTest test lit/Folder, whose result file counts them one by one.
function(kvq_add_lit_suite folder)
  add_test(NAME "lit/${folder}"
    COMMAND ${KVQ_LIT} -v -j1 --skip-test-time-recording --xunit-xml-output "${KVQ_TEST_RESULTS}/lit-${folder}.xml" "${PROJECT_BINARY_DIR}/test/${folder}")
  set_tests_properties("lit/${folder}" PROPERTIES LABELS lit ENVIRONMENT "${KVQ_TEST_ENVIRONMENT}")
endfunction()

# kvq_add_pytest(Name FILE): a file of pytest cases as the CTest test pytest/Name, whose result file counts them one by one.
function(kvq_add_pytest name file)
  add_test(NAME "pytest/${name}"
    COMMAND "${KVQ_PYTHON}" -m pytest -q -rs --color=no -p no:cacheprovider "--rootdir=${PROJECT_SOURCE_DIR}/test"
            "--junitxml=${KVQ_TEST_RESULTS}/pytest-${name}.xml" "${file}")
  set_tests_properties("pytest/${name}" PROPERTIES LABELS pytest ENVIRONMENT
    "${KVQ_TEST_ENVIRONMENT};PYTHONDONTWRITEBYTECODE=1;KVQ_BUILD_DIR=${PROJECT_BINARY_DIR};KVQ_LLVM_TOOLS_DIR=${LLVM_TOOLS_BINARY_DIR};KVQ_PTXAS=${KVQ_PTXAS};KVQ_NVDISASM=${KVQ_NVDISASM}")
endfunction()

# kvq_doc(Name COMMAND... DEPENDS files...): docs/reference/Name.md from what COMMAND writes into its argument `-o FILE`. The target kvq-docs
# writes the page into the source tree, and the CTest test docs/Name fails where the committed page differs.
function(kvq_doc name)
  cmake_parse_arguments(ARG "" "" "COMMAND;DEPENDS" ${ARGN})
  set(made "${PROJECT_BINARY_DIR}/docs/reference/${name}.md")
  set(committed "${PROJECT_SOURCE_DIR}/docs/reference/${name}.md")
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/docs/reference")
  add_custom_command(OUTPUT "${made}" COMMAND ${ARG_COMMAND} -o "${made}" DEPENDS ${ARG_DEPENDS} VERBATIM COMMENT "docs/reference/${name}.md")
  add_custom_target("generate-docs-${name}" ALL DEPENDS "${made}")
  if(NOT TARGET kvq-docs)
    add_custom_target(kvq-docs COMMENT "Writing docs/reference")
  endif()
  add_custom_target("kvq-docs-${name}" COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${made}" "${committed}" DEPENDS "generate-docs-${name}")
  add_dependencies(kvq-docs "kvq-docs-${name}")
  if(KVQ_INCLUDE_TESTS)
    add_test(NAME "docs/${name}" COMMAND "${CMAKE_COMMAND}" -E compare_files --ignore-eol "${made}" "${committed}")
    set_tests_properties("docs/${name}" PROPERTIES LABELS docs)
  endif()
endfunction()

# kvq_tablegen_doc(Name TABLEGEN TD ARGS...): docs/reference/Name.md from TD, a file of include/kvq.
function(kvq_tablegen_doc name tablegen td)
  file(GLOB_RECURSE inputs CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/include/kvq/*.td")
  list(TRANSFORM MLIR_INCLUDE_DIRS PREPEND "-I" OUTPUT_VARIABLE includes)
  kvq_doc(${name} COMMAND "${tablegen}" ${ARGN} ${includes} "-I${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/include/kvq/${td}"
    DEPENDS ${inputs})
endfunction()
