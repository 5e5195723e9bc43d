# Cross-compiles for 64-bit Arm with Debian's compiler; tests run under qemu where it is installed.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
find_program(FH_QEMU_AARCH64 NAMES qemu-aarch64 qemu-aarch64-static)
# qemu 7.2 keeps a record of every page that is reserved: for the terabytes that are usual it would take
# all memory of the machine. Its own limit of addresses, -R, is no remedy: there it unmaps the source of
# mremap(MREMAP_DONTUNMAP), and the program faults.
if(FH_QEMU_AARCH64)
    set(CMAKE_CROSSCOMPILING_EMULATOR
        ${FH_QEMU_AARCH64} -E FREEHOLD_OPTIONS=reserve=8G -L /usr/aarch64-linux-gnu)
endif()
