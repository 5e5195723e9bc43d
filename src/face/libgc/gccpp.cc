// libgccpp.so.1: the operators that gc_cpp.h speaks of. A program that is linked to it has all that plain `new` makes in
// the collector's heap: uncollectable, freed by `delete`, and searched for references. It calls libgc.so.1 as programs
// do, ours or another.
//
// The set is Debian's: the other forms of the standard's library call these, but for those with an alignment, which are
// a pair of their own on malloc.
#include <cstddef>
#include <new>

#define EXPORTED __attribute__((visibility("default")))

extern "C" void *GC_malloc_uncollectable(std::size_t size);
extern "C" void GC_free(void *p);

EXPORTED void *operator new(std::size_t size)
{
    if (void *p = GC_malloc_uncollectable(size)) return p;
    throw std::bad_alloc();
}

EXPORTED void *operator new[](std::size_t size)
{
    return operator new(size);
}

EXPORTED void operator delete(void *p) noexcept
{
    GC_free(p);
}

EXPORTED void operator delete(void *p, std::size_t) noexcept
{
    GC_free(p);
}

EXPORTED void operator delete[](void *p) noexcept
{
    GC_free(p);
}

EXPORTED void operator delete[](void *p, std::size_t) noexcept
{
    GC_free(p);
}
