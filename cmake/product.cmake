# What leaves the build: bin/freehold, lib/libfreehold.so.1 and lib/libfreehold.a.

# One object serves both libraries, so that a static link runs the very code of the shared one.
add_library(freehold_unit OBJECT ${PROJECT_SOURCE_DIR}/src/one.c)
target_link_libraries(freehold_unit PRIVATE freehold_code)

add_library(freehold_shared SHARED $<TARGET_OBJECTS:freehold_unit>)
add_library(freehold_static STATIC $<TARGET_OBJECTS:freehold_unit>)
add_library(freehold::freehold ALIAS freehold_shared)
add_library(freehold::static ALIAS freehold_static)
set_target_properties(freehold_shared freehold_static PROPERTIES
    OUTPUT_NAME freehold
    LINKER_LANGUAGE C
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib
    ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
foreach(library freehold_shared freehold_static)
    target_include_directories(${library} INTERFACE
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

# The version script exports the public names and hides the rest; -z now because an allocator cannot
# afford a lazy binding in the middle of malloc.
set(version_script ${PROJECT_SOURCE_DIR}/src/freehold.map)
set_target_properties(freehold_shared PROPERTIES
    SOVERSION 1 EXPORT_NAME freehold LINK_DEPENDS ${version_script})
set_target_properties(freehold_static PROPERTIES EXPORT_NAME static)
target_link_options(freehold_shared PRIVATE
    -Wl,--version-script=${version_script} -Wl,-Bsymbolic-functions
    -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -Wl,-z,nodelete -Wl,--build-id -Wl,--no-undefined -Wl,--as-needed)
target_link_libraries(freehold_static INTERFACE Threads::Threads)

# The command reads processes from outside: of the library it knows the public headers only.
if(FH_CLI)
    find_package(PkgConfig REQUIRED)
    pkg_check_modules(LIBELF REQUIRED IMPORTED_TARGET libelf)
    file(GLOB cli_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cli/*.c)
    add_executable(freehold_cli ${cli_sources})
    set_target_properties(freehold_cli PROPERTIES
        OUTPUT_NAME freehold RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
    target_include_directories(freehold_cli PRIVATE ${PROJECT_SOURCE_DIR}/include)
    target_compile_definitions(freehold_cli PRIVATE _GNU_SOURCE=)
    target_link_libraries(freehold_cli PRIVATE freehold_warnings PkgConfig::LIBELF)
    # `freehold run` preloads the library: building the command alone must not leave it missing.
    add_dependencies(freehold_cli freehold_shared)
endif()

# `make` builds the product and not the tests.
add_custom_target(product
    DEPENDS freehold_shared freehold_static $<TARGET_NAME_IF_EXISTS:freehold_cli>)
add_subdirectory(bench/malloc EXCLUDE_FROM_ALL)
add_subdirectory(bench/gc EXCLUDE_FROM_ALL)
