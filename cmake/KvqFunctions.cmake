# kvq_add_library, kvq_add_tool, kvq_tablegen, kvq_add_unittest: thin wrappers, so that every folder of lib/ reads alike.
include_guard()

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
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE kvq_options ${ARG_LINK})
  add_dependencies(${name} kvq-headers)
  if(NOT ARG_NO_INSTALL)
    set_property(GLOBAL APPEND PROPERTY KVQ_TOOLS ${name})
  endif()
endfunction()

# kvq_add_unittest(Name SOURCES... LINK targets...): a gtest program, one CTest test per case.
function(kvq_add_unittest name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/test/Unit")
  target_link_libraries(${name} PRIVATE kvq_options ${ARG_LINK} GTest::gtest GTest::gtest_main)
  add_dependencies(${name} kvq-headers)
  gtest_discover_tests(${name} TEST_PREFIX "Unit/")
endfunction()
