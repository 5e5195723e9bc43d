// A plugin in C++ for a program in C, see cxx_late_test.c.
#include <cstdint>
#include <new>

extern "C" int plugin_run_out();

// 1: bad_alloc came, as in a program of its own.
extern "C" int plugin_run_out()
{
    volatile std::size_t n = SIZE_MAX / 4;
    try {
        ::operator delete(::operator new(n));
    } catch (const std::bad_alloc &) {
        return ::operator new[](n, std::nothrow) == nullptr;
    }
    return 0;
}
