// new and delete of libfreehold.a, as the standard words them. A linker takes this member of the archive
// only for a program that uses operators and defines none itself, so here the C++ runtime may be needed:
// unlike the shared library (face/cxx.c), which every program must be able to load.
//
// Weak, because a program may replace one of them and leave the others, which must then call its own.
// Left out: operators at all, since the runtime's call malloc. But a linker that meets `operator new` and
// no malloc takes nothing from this archive, and the program runs on another malloc without a word.
#include <cstdlib>
#include <new>

#define WEAK __attribute__((weak))

namespace
{

// [new.delete.single]: the handler is called until memory is found, or is gone, or it throws.
template <typename Allocate> void *allocate(Allocate attempt)
{
    for (;;) {
        if (void *p = attempt()) return p;
        std::new_handler handler = std::get_new_handler();
        if (handler == nullptr) throw std::bad_alloc();
        handler();
    }
}

template <typename Allocate> void *null_if_thrown(Allocate attempt) noexcept
{
    try {
        return attempt();
    } catch (...) {
        return nullptr;
    }
}

} // namespace

WEAK void *operator new(std::size_t size)
{
    return allocate([=] { return std::malloc(size); });
}

WEAK void *operator new(std::size_t size, std::align_val_t alignment)
{
    return allocate([=] { return std::aligned_alloc(static_cast<std::size_t>(alignment), size); });
}

WEAK void operator delete(void *p) noexcept
{
    std::free(p);
}

WEAK void operator delete(void *p, std::align_val_t) noexcept
{
    std::free(p);
}

// ---- forms that call others ------------------------------------------------------------------------------

WEAK void *operator new[](std::size_t size)
{
    return ::operator new(size);
}

WEAK void *operator new[](std::size_t size, std::align_val_t alignment)
{
    return ::operator new(size, alignment);
}

WEAK void *operator new(std::size_t size, const std::nothrow_t &) noexcept
{
    return null_if_thrown([=] { return ::operator new(size); });
}

WEAK void *operator new[](std::size_t size, const std::nothrow_t &) noexcept
{
    return null_if_thrown([=] { return ::operator new[](size); });
}

WEAK void *operator new(std::size_t size, std::align_val_t alignment,
                        const std::nothrow_t &) noexcept
{
    return null_if_thrown([=] { return ::operator new(size, alignment); });
}

WEAK void *operator new[](std::size_t size, std::align_val_t alignment,
                          const std::nothrow_t &) noexcept
{
    return null_if_thrown([=] { return ::operator new[](size, alignment); });
}

WEAK void operator delete[](void *p) noexcept
{
    ::operator delete(p);
}

WEAK void operator delete[](void *p, std::align_val_t alignment) noexcept
{
    ::operator delete(p, alignment);
}

WEAK void operator delete(void *p, std::size_t) noexcept
{
    ::operator delete(p);
}

WEAK void operator delete[](void *p, std::size_t) noexcept
{
    ::operator delete[](p);
}

WEAK void operator delete(void *p, const std::nothrow_t &) noexcept
{
    ::operator delete(p);
}

WEAK void operator delete[](void *p, const std::nothrow_t &) noexcept
{
    ::operator delete[](p);
}

WEAK void operator delete(void *p, std::size_t, std::align_val_t alignment) noexcept
{
    ::operator delete(p, alignment);
}

WEAK void operator delete[](void *p, std::size_t, std::align_val_t alignment) noexcept
{
    ::operator delete[](p, alignment);
}

WEAK void operator delete(void *p, std::align_val_t alignment, const std::nothrow_t &) noexcept
{
    ::operator delete(p, alignment);
}

WEAK void operator delete[](void *p, std::align_val_t alignment, const std::nothrow_t &) noexcept
{
    ::operator delete[](p, alignment);
}
