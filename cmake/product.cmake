# What leaves the build: bin/freehold, lib/libfreehold.so.1, lib/libfreehold.a and lib/gc/lib{gc,gccpp,gctba}.so.1.

# The same source for both; but the C++ operators of the shared one must do without a C++ runtime, and
# those of the static one are a member of its own in the archive (src/face/cxx.c, cxx_static.cc). That
# comes as an object, so that C programs that link the archive are not linked as C++.
add_library(freehold_shared SHARED src/one.c)
target_link_libraries(freehold_shared PRIVATE freehold_code)
target_compile_definitions(freehold_shared PRIVATE FH_CXX_OPERATORS=1)

# Hidden symbols are hidden from the loader only: a program's own `options` or `text_str` would collide
# with ours in a static link. So they become local to the object before it goes into the archive.
add_library(freehold_unit OBJECT src/one.c)
target_link_libraries(freehold_unit PRIVATE freehold_code)
set(static_object ${PROJECT_BINARY_DIR}/freehold.o)
add_custom_command(OUTPUT ${static_object} VERBATIM
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden $<TARGET_OBJECTS:freehold_unit> ${static_object}
    DEPENDS freehold_unit $<TARGET_OBJECTS:freehold_unit>)
add_library(freehold_static STATIC ${static_object})
if(CMAKE_CXX_COMPILER)
    add_library(freehold_operators OBJECT src/face/cxx_static.cc)
    target_link_libraries(freehold_operators PRIVATE freehold_warnings)
    set_target_properties(freehold_operators PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_sources(freehold_static PRIVATE $<TARGET_OBJECTS:freehold_operators>)
endif()
add_library(freehold::freehold ALIAS freehold_shared)
add_library(freehold::static ALIAS freehold_static)
set_target_properties(freehold_shared freehold_static PROPERTIES
    OUTPUT_NAME freehold
    LINKER_LANGUAGE C
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib
    ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)

# The version script exports the public names and hides the rest; -z now because an allocator cannot
# afford a lazy binding in the middle of malloc.
set(version_script ${PROJECT_SOURCE_DIR}/src/freehold.map)
set_target_properties(freehold_shared PROPERTIES
    SOVERSION 1 EXPORT_NAME freehold LINK_DEPENDS ${version_script})
set_target_properties(freehold_static PROPERTIES EXPORT_NAME static)
target_link_options(freehold_shared PRIVATE
    -Wl,--version-script=${version_script} -Wl,-Bsymbolic-functions -Wl,--dynamic-list-data -Wl,--dynamic-list-cpp-new
    -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -Wl,-z,nodelete -Wl,--build-id -Wl,--no-undefined -Wl,--as-needed)
target_link_libraries(freehold_static INTERFACE Threads::Threads)

# The same sources with the hardened policy of malloc (src/hard) in the place of src/heap. Its reports need stacks, which
# gcc's unwinder tells: linked in, so that the library needs nothing but libc.
add_library(freehold_hardened SHARED src/one.c)
target_link_libraries(freehold_hardened PRIVATE freehold_code -static-libgcc)
target_compile_definitions(freehold_hardened PRIVATE FH_CXX_OPERATORS=1 FH_HARDENED=1)
# No frame is left out: checked calls of libc know by their return address that they are the library's own (range.c).
target_compile_options(freehold_hardened PRIVATE -fno-optimize-sibling-calls)
set_target_properties(freehold_hardened PROPERTIES
    OUTPUT_NAME freehold-hardened EXPORT_NAME hardened SOVERSION 1 LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib
    LINK_DEPENDS ${version_script})
target_link_options(freehold_hardened PRIVATE
    -Wl,--version-script=${version_script} -Wl,-Bsymbolic-functions -Wl,--dynamic-list-data -Wl,--dynamic-list-cpp-new
    -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -Wl,-z,nodelete -Wl,--build-id -Wl,--no-undefined -Wl,--as-needed)

add_library(freehold::hardened ALIAS freehold_hardened)
foreach(library freehold_shared freehold_static freehold_hardened)
    target_include_directories(${library} INTERFACE
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

# What stands in front of libc's memcpy and its kin, if it is preloaded beside the hardened library. It means what it calls:
# no builtins; and the fortified declarations would be taken for its own.
file(GLOB calls_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/face/hardened/calls_*.c)
add_library(freehold_calls SHARED ${calls_sources})
target_link_libraries(freehold_calls PRIVATE freehold_code ${CMAKE_DL_LIBS})
target_compile_options(freehold_calls PRIVATE -fno-builtin -U_FORTIFY_SOURCE)
set_target_properties(freehold_calls PROPERTIES
    OUTPUT_NAME freehold-hardened-calls SOVERSION 1 LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
target_link_options(freehold_calls PRIVATE -Wl,-Bsymbolic-functions
    -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -Wl,-z,nodelete -Wl,--build-id -Wl,--no-undefined -Wl,--as-needed)

# The Boehm collector's ABI, in a folder of its own: LD_LIBRARY_PATH finds it there, and nobody else does. It is
# built from the same sources without the malloc policy.
add_library(freehold_libgc SHARED src/one.c)
target_compile_definitions(freehold_libgc PRIVATE FH_LIBGC=1)
target_link_libraries(freehold_libgc PRIVATE freehold_code Threads::Threads)
set(libgc_script ${PROJECT_SOURCE_DIR}/src/libgc.map)
set_target_properties(freehold_libgc PROPERTIES
    OUTPUT_NAME gc SOVERSION 1 LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib/gc LINK_DEPENDS ${libgc_script})
target_link_options(freehold_libgc PRIVATE
    -Wl,--version-script=${libgc_script} -Wl,-Bsymbolic-functions -Wl,--dynamic-list-data
    -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -Wl,-z,nodelete -Wl,--build-id -Wl,--no-undefined -Wl,--as-needed)

# Its C++ side, as the original has it in libraries of their own: gccpp for gc_cpp.h with all operators, gctba with
# GC_throw_bad_alloc alone.
set(libgc_cxx)
if(CMAKE_CXX_COMPILER)
    foreach(library gccpp gctba)
        add_library(freehold_lib${library} SHARED src/face/libgc/gctba.cc)
        target_link_libraries(freehold_lib${library} PRIVATE freehold_warnings)
        target_compile_options(freehold_lib${library} PRIVATE -fvisibility=hidden)
        set_target_properties(freehold_lib${library} PROPERTIES
            OUTPUT_NAME ${library} SOVERSION 1 LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib/gc SKIP_BUILD_RPATH ON)
        target_link_options(freehold_lib${library} PRIVATE
            -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -Wl,--build-id -Wl,--no-undefined -Wl,--as-needed)
        list(APPEND libgc_cxx freehold_lib${library})
    endforeach()
    target_sources(freehold_libgccpp PRIVATE src/face/libgc/gccpp.cc)
    target_link_libraries(freehold_libgccpp PRIVATE freehold_libgc)
endif()

# The command reads processes from outside: of the library it knows the public headers only.
if(FH_CLI)
    find_package(PkgConfig REQUIRED)
    pkg_check_modules(LIBELF REQUIRED IMPORTED_TARGET libelf)
    pkg_check_modules(NCURSES IMPORTED_TARGET ncursesw)
    file(GLOB cli_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cli/*.c)
    # The marker is the library's, and knows nothing of it.
    list(APPEND cli_sources ${PROJECT_SOURCE_DIR}/src/span/reach.c ${PROJECT_SOURCE_DIR}/src/span/reach_mark.c
        ${PROJECT_SOURCE_DIR}/src/span/reach_order.c
        ${PROJECT_SOURCE_DIR}/src/span/reach_path.c)
    # `freehold top` draws with ncurses; without it, it prints once.
    if(NCURSES_FOUND)
        list(REMOVE_ITEM cli_sources ${PROJECT_SOURCE_DIR}/cli/top_no_screen.c)
    else()
        message(STATUS "no ncursesw: freehold top will have no screen")
        list(REMOVE_ITEM cli_sources ${PROJECT_SOURCE_DIR}/cli/top_screen.c)
    endif()
    add_executable(freehold_cli ${cli_sources})
    set_target_properties(freehold_cli PROPERTIES
        OUTPUT_NAME freehold RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
    target_include_directories(freehold_cli PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
    target_compile_definitions(freehold_cli PRIVATE _GNU_SOURCE=)
    target_link_libraries(freehold_cli PRIVATE freehold_warnings PkgConfig::LIBELF Threads::Threads ${CMAKE_DL_LIBS}
        $<TARGET_NAME_IF_EXISTS:PkgConfig::NCURSES>)
    # `freehold run` preloads the library: building the command alone must not leave it missing.
    add_dependencies(freehold_cli freehold_shared freehold_hardened freehold_calls)
endif()

# `make` builds the product and not the tests.
add_custom_target(product
    DEPENDS freehold_shared freehold_static freehold_hardened freehold_calls freehold_libgc ${libgc_cxx} $<TARGET_NAME_IF_EXISTS:freehold_cli>
        $<TARGET_NAME_IF_EXISTS:lisp>)
add_subdirectory(bench/malloc EXCLUDE_FROM_ALL)
add_subdirectory(bench/gc EXCLUDE_FROM_ALL)
