# `cmake --install`: headers, libraries, freehold.pc, the CMake package; and the command with its man page
# and completions.
include(CMakePackageConfigHelpers)

install(TARGETS freehold_shared freehold_static EXPORT freehold
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
# What runs on it is mostly preloaded (`freehold run --hardened`): no part of freehold.pc. Who uses freehold/zone.h links
# with freehold::hardened.
install(TARGETS freehold_hardened EXPORT freehold LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS freehold_calls LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS freehold_libgc ${libgc_cxx} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/freehold/gc NAMELINK_SKIP)
install(FILES ${PROJECT_SOURCE_DIR}/docs/man/libfreehold.7 DESTINATION ${CMAKE_INSTALL_MANDIR}/man7)
if(FH_CLI)
    install(TARGETS freehold_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    install(FILES ${PROJECT_SOURCE_DIR}/docs/man/freehold.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    # Where each shell looks for completions.
    set(completions ${PROJECT_SOURCE_DIR}/completions)
    install(FILES ${completions}/bash/freehold
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
    install(FILES ${completions}/zsh/_freehold
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
    install(FILES ${completions}/fish/freehold.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
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
