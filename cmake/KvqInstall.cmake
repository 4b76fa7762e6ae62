# `cmake --install`: programs, libraries, headers (generated ones too), and a package that find_package(kvq COMPONENTS Compiler Runtime) reads.
include_guard()
include(CMakePackageConfigHelpers)

set(kvq_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/kvq")
get_property(kvq_libraries GLOBAL PROPERTY KVQ_LIBRARIES)
get_property(kvq_tools GLOBAL PROPERTY KVQ_TOOLS)

# Three export sets: Runtime, the shared library, which needs nothing; RuntimeStatic, what it is made of; and Compiler, all else. What they share is
# in a set of its own. They install as the components Runtime, which works alone and needs no LLVM, and Compiler, which is installed beside it.
set(kvq_runtime_libraries kvqJson kvqArtefact kvqRuntime)
install(TARGETS kvq_options EXPORT kvqCommonTargets)
install(TARGETS kvqRuntimeShared EXPORT kvqRuntimeTargets LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT Runtime)
set(kvq_exports Common Runtime)
foreach(library IN LISTS kvq_libraries)
  set(component Compiler)
  set(export Compiler)
  if(library IN_LIST kvq_runtime_libraries)
    set(component Runtime)
    set(export RuntimeStatic)
  endif()
  install(TARGETS ${library} EXPORT kvq${export}Targets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT ${component}
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT ${component}
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT ${component})
  list(APPEND kvq_exports ${export})
endforeach()
if(kvq_tools)
  install(TARGETS ${kvq_tools} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT Compiler)
endif()
list(REMOVE_DUPLICATES kvq_exports)
foreach(export IN LISTS kvq_exports)
  set(component Runtime)
  if(export STREQUAL "Compiler")
    set(component Compiler)
  endif()
  install(EXPORT kvq${export}Targets NAMESPACE kvq:: DESTINATION "${kvq_package_dir}" COMPONENT ${component})
endforeach()

# Headers outside a library's folder, tablegen files, and what tablegen makes.
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/kvq" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT Compiler
  FILES_MATCHING PATTERN "*.h" PATTERN "*.def" PATTERN "*.td")
install(DIRECTORY "${PROJECT_BINARY_DIR}/include/kvq" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT Compiler
  FILES_MATCHING PATTERN "*.inc")

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/kvqConfig.cmake.in" "${PROJECT_BINARY_DIR}/cmake/kvqConfig.cmake"
  INSTALL_DESTINATION "${kvq_package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/cmake/kvqConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/cmake/kvqConfig.cmake" "${PROJECT_BINARY_DIR}/cmake/kvqConfigVersion.cmake"
  DESTINATION "${kvq_package_dir}" COMPONENT Runtime)
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT Runtime)
