# `cmake --install`: programs, libraries, headers (generated ones too), and a package that find_package(kvq COMPONENTS Compiler Runtime) reads.
include_guard()
include(CMakePackageConfigHelpers)

set(kvq_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/kvq")
get_property(kvq_libraries GLOBAL PROPERTY KVQ_LIBRARIES)
get_property(kvq_tools GLOBAL PROPERTY KVQ_TOOLS)

# Runtime needs no LLVM; all else is Compiler. What both share is in a set of its own, so that either can be found alone.
set(kvq_runtime_libraries kvqJson kvqArtefact kvqRuntime)
install(TARGETS kvq_options EXPORT kvqCommonTargets)
foreach(library IN LISTS kvq_libraries)
  set(component Compiler)
  if(library IN_LIST kvq_runtime_libraries)
    set(component Runtime)
  endif()
  install(TARGETS ${library} EXPORT kvq${component}Targets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  list(APPEND kvq_components ${component})
endforeach()
if(kvq_tools)
  install(TARGETS ${kvq_tools} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()
list(APPEND kvq_components Common)
list(REMOVE_DUPLICATES kvq_components)
foreach(component IN LISTS kvq_components)
  install(EXPORT kvq${component}Targets NAMESPACE kvq:: DESTINATION "${kvq_package_dir}")
endforeach()

# Headers outside a library's folder, tablegen files, and what tablegen makes.
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/kvq" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.h" PATTERN "*.def" PATTERN "*.td")
install(DIRECTORY "${PROJECT_BINARY_DIR}/include/kvq" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.inc")

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/kvqConfig.cmake.in" "${PROJECT_BINARY_DIR}/cmake/kvqConfig.cmake"
  INSTALL_DESTINATION "${kvq_package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/cmake/kvqConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/cmake/kvqConfig.cmake" "${PROJECT_BINARY_DIR}/cmake/kvqConfigVersion.cmake"
  DESTINATION "${kvq_package_dir}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
