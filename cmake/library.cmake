# The library as the tests link it: malloc of the test program stays the C library's, and the functions
# of every floor can be called. The tests of the public functions use the same library.
function(freehold_add_test_library name)
    add_library(${name} STATIC EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/src/one.c)
    target_compile_definitions(${name} PUBLIC FH_NO_INTERPOSE=1
        $<$<CONFIG:Debug>:FH_DEBUG=1 FH_CHECKED=1> ${ARGN})
    target_link_libraries(${name} PRIVATE freehold_code PUBLIC Threads::Threads)
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
endfunction()

freehold_add_test_library(freehold_internal)
freehold_add_test_library(freehold_fake FH_OS_FAKE=1)
add_library(freehold_test ALIAS freehold_internal)

# Every source alone, so that each includes what it uses. An object library: nothing links it.
if(FH_EACH)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*.c)
    list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/src/one.c)
    set(hardened ${sources})
    list(FILTER hardened INCLUDE REGEX "/src/(hard|face/hardened)/")
    set_source_files_properties(${hardened} PROPERTIES COMPILE_DEFINITIONS FH_HARDENED=1)
    add_library(freehold_each OBJECT ${sources})
    target_compile_definitions(freehold_each PRIVATE FH_CXX_OPERATORS=1)
    target_link_libraries(freehold_each PRIVATE freehold_code)
endif()
