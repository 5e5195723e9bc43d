// A program with operators of its own: the four that others call, each block with a mark before it.
//
// What could break: a form that the program left alone must call the program's, as the standard says.
// If it calls malloc instead, the mark is missing, or free gets the middle of a block.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace
{

constexpr std::uint64_t mark = 0x6d61726b6d61726b;
constexpr std::size_t room = 64; // before the block, so that its alignment stays
int made, ended;
volatile std::size_t size = 40;

void require(bool condition, const char *what)
{
    if (condition) return;
    std::fprintf(stderr, "expected: %s\n", what);
    std::abort();
}

void *mark_block(void *p)
{
    if (p == nullptr) throw std::bad_alloc();
    *static_cast<std::uint64_t *>(p) = mark;
    made++;
    return static_cast<char *>(p) + room;
}

void end_block(void *p)
{
    if (p == nullptr) return;
    char *start = static_cast<char *>(p) - room;
    require(*reinterpret_cast<std::uint64_t *>(start) == mark, "a block of the program's own new");
    ended++;
    std::free(start);
}

} // namespace

void *operator new(std::size_t n)
{
    return mark_block(n < SIZE_MAX / 4 ? std::malloc(n + room) : nullptr);
}

void *operator new(std::size_t n, std::align_val_t alignment)
{
    require(static_cast<std::size_t>(alignment) <= room, "an alignment that the room keeps");
    return mark_block(n < SIZE_MAX / 4 ? std::aligned_alloc(room, n + room) : nullptr);
}

void operator delete(void *p) noexcept
{
    end_block(p);
}

void operator delete(void *p, std::align_val_t) noexcept
{
    end_block(p);
}

int main()
{
    constexpr auto wide = std::align_val_t{room};
    std::size_t n = size;
    ::operator delete(::operator new(n));
    ::operator delete(::operator new(n), n);
    ::operator delete(::operator new(n, std::nothrow), std::nothrow);
    ::operator delete[](::operator new[](n));
    ::operator delete[](::operator new[](n), n);
    ::operator delete[](::operator new[](n, std::nothrow), std::nothrow);
    ::operator delete(::operator new(n, wide), wide);
    ::operator delete(::operator new(n, wide), n, wide);
    ::operator delete(::operator new(n, wide, std::nothrow), wide, std::nothrow);
    ::operator delete[](::operator new[](n, wide), wide);
    ::operator delete[](::operator new[](n, wide), n, wide);
    ::operator delete[](::operator new[](n, wide, std::nothrow), wide, std::nothrow);
    require(made == 12 && ended == 12, "that every form calls the program's");
    require(::operator new[](SIZE_MAX / 2, std::nothrow) == nullptr, "null for what it throws");
    std::puts("all forms");
}
