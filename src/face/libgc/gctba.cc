// libgctba.so.1: what gc_cpp.h calls when memory is out, for programs without its operators (libgccpp.so.1 has it too).
#include <new>

__attribute__((visibility("default"))) void GC_throw_bad_alloc();

void GC_throw_bad_alloc()
{
    throw std::bad_alloc();
}
