# Compiler and linker flags, as interface libraries that targets link to.

# freehold_warnings: what every C source of the repository is held to.
add_library(freehold_warnings INTERFACE)
target_compile_options(freehold_warnings INTERFACE
    -Wall -Wextra -Wvla -Wpointer-arith
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
    $<$<BOOL:${FH_WERROR}>:-Werror>)

# freehold_code: how the code of an allocator must be compiled, whatever it is linked into.
# Without -fno-builtin-* the compiler may turn our own calloc, malloc plus memset, into a call of calloc.
add_library(freehold_code INTERFACE)
target_compile_options(freehold_code INTERFACE
    -fvisibility=hidden -ftls-model=initial-exec -fPIC -fno-semantic-interposition
    -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free)
target_include_directories(freehold_code INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
target_compile_definitions(freehold_code INTERFACE
    _GNU_SOURCE= $<$<CONFIG:Debug>:FH_DEBUG=1 FH_CHECKED=1>)
# Where option plug finds the command, if it is not beside the library.
set_source_files_properties(${PROJECT_SOURCE_DIR}/src/one.c ${PROJECT_SOURCE_DIR}/src/face/plug_launch.c PROPERTIES
    COMPILE_DEFINITIONS "FH_COMMAND=\"${CMAKE_INSTALL_FULL_BINDIR}/freehold\"")
target_link_libraries(freehold_code INTERFACE freehold_warnings)

# Sanitizers instrument everything in the build, tests included. In the fuzz build the library is
# instrumented for coverage and only the fuzzers link libFuzzer's main (see tests/fuzz).
if(FH_SANITIZE)
    add_compile_options(-fsanitize=${FH_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${FH_SANITIZE})
endif()
