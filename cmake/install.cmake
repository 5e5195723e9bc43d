# `cmake --install`: headers, libraries, command, freehold.pc and the CMake package.
include(CMakePackageConfigHelpers)

if(NOT TARGET freehold_shared)
    return()
endif()

install(TARGETS freehold_shared freehold_static EXPORT freehold
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET freehold_cli)
    install(TARGETS freehold_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/freehold
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/freehold)
install(EXPORT freehold NAMESPACE freehold:: FILE freehold-targets.cmake DESTINATION ${package_dir})
configure_package_config_file(cmake/freehold-config.cmake.in ${PROJECT_BINARY_DIR}/freehold-config.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/freehold-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/freehold-config.cmake
    ${PROJECT_BINARY_DIR}/freehold-config-version.cmake DESTINATION ${package_dir})

# freehold.pc finds its prefix from where it lies, so that `make install DESTDIR=` and a moved tree work.
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/freehold.pc.in ${PROJECT_BINARY_DIR}/freehold.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/freehold.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
