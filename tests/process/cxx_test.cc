// C++ over the library: every form of new and delete, what happens when memory is out, and
// thread_local objects whose destructors free at a thread's end.
//
// What could break: a form that is left to the C++ runtime and there meets another malloc's block;
// an exception that must pass through our frames; the order of destructors at a thread's end.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

extern "C" {
#include <freehold/freehold.h>
}

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition);          \
            std::abort();                                                                          \
        }                                                                                          \
    } while (0)

namespace
{

constexpr std::size_t too_much = SIZE_MAX / 4;
volatile std::size_t size = 40; // the compiler may not elide what it cannot foresee

bool is_ours(const void *p)
{
    fh_description d;
    fh_kind kind = fh_describe(p, &d);
    return (kind == FH_BLOCK || kind == FH_LARGE) && d.start == p;
}

void test_plain_forms()
{
    void *p = ::operator new(size);
    REQUIRE(is_ours(p));
    ::operator delete(p);
    p = ::operator new(size);
    ::operator delete (p, std::size_t{size});
    p = ::operator new[](size);
    REQUIRE(is_ours(p));
    ::operator delete[](p);
    p = ::operator new[](size);
    ::operator delete[](p, std::size_t{size});
    p = ::operator new(size, std::nothrow);
    REQUIRE(is_ours(p));
    ::operator delete(p, std::nothrow);
    p = ::operator new[](size, std::nothrow);
    REQUIRE(is_ours(p));
    ::operator delete[](p, std::nothrow);
    ::operator delete(nullptr);
    REQUIRE((p = ::operator new(0)) != nullptr);
    ::operator delete(p);
}

void test_aligned_forms()
{
    for (std::size_t n = 1; n <= 1 << 20; n *= 2) {
        auto alignment = std::align_val_t{n};
        void *p[] = {::operator new(size, alignment),
                     ::operator new[](size, alignment),
                     ::operator new(size, alignment, std::nothrow),
                     ::operator new[](size, alignment, std::nothrow),
                     ::operator new(size, alignment),
                     ::operator new[](size, alignment)};
        for (void *q : p) REQUIRE(is_ours(q) && reinterpret_cast<std::uintptr_t>(q) % n == 0);
        ::operator delete(p[0], alignment);
        ::operator delete[](p[1], alignment);
        ::operator delete(p[2], alignment, std::nothrow);
        ::operator delete[](p[3], alignment, std::nothrow);
        ::operator delete (p[4], std::size_t{size}, alignment);
        ::operator delete[](p[5], std::size_t{size}, alignment);
    }
}

struct alignas(256) Wide {
    char bytes[300];
};

void test_expressions()
{
    auto *wide = new Wide[3];
    REQUIRE(is_ours(wide) && reinterpret_cast<std::uintptr_t>(wide) % 256 == 0);
    delete[] wide;
    auto *text = new std::string(1000, 'x');
    delete text;
    std::map<int, std::string> map;
    for (int i = 0; i < 1000; i++) map[i] = std::string(static_cast<std::size_t>(i), 'y');
    REQUIRE(map[999].size() == 999);
}

template <typename Allocate> bool throws_bad_alloc(Allocate allocate)
{
    try {
        allocate();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

void test_exhausted()
{
    volatile std::size_t n = too_much;
    REQUIRE(throws_bad_alloc([&] { return ::operator new(n); }));
    REQUIRE(throws_bad_alloc([&] { return ::operator new[](n); }));
    REQUIRE(throws_bad_alloc([&] { return ::operator new (n, std::align_val_t{64}); }));
    REQUIRE(throws_bad_alloc([&] { return ::operator new[](n, std::align_val_t{64}); }));
    REQUIRE(::operator new(n, std::nothrow) == nullptr);
    REQUIRE(::operator new[](n, std::nothrow) == nullptr);
    REQUIRE(::operator new (n, std::align_val_t{64}, std::nothrow) == nullptr);
    REQUIRE(::operator new[](n, std::align_val_t{64}, std::nothrow) == nullptr);
}

int handler_calls;

void handler_gives_up()
{
    if (++handler_calls == 3) std::set_new_handler(nullptr);
}

void handler_throws()
{
    throw std::runtime_error("no more");
}

// [new.delete.single]: the handler is called until memory is found, is gone, or it throws itself.
void test_new_handler()
{
    volatile std::size_t n = too_much;
    std::set_new_handler(handler_gives_up);
    REQUIRE(throws_bad_alloc([&] { return ::operator new(n); }));
    REQUIRE(handler_calls == 3);
    handler_calls = 0;
    std::set_new_handler(handler_gives_up);
    REQUIRE(::operator new(n, std::nothrow) == nullptr);
    REQUIRE(handler_calls == 3);
    std::set_new_handler(handler_throws);
    bool thrown = false;
    try {
        ::operator delete(::operator new(n));
    } catch (const std::runtime_error &) {
        thrown = true;
    }
    REQUIRE(thrown);
    std::set_new_handler(nullptr);
}

void handler_throws_bad_alloc()
{
    throw std::bad_alloc();
}

// What the handler throws is caught, and becomes null. What else than bad_alloc it may throw differs
// between the runtimes.
void test_new_handler_of_nothrow()
{
    volatile std::size_t n = too_much;
    std::set_new_handler(handler_throws_bad_alloc);
    REQUIRE(::operator new(n, std::nothrow) == nullptr);
    REQUIRE(::operator new[](n, std::nothrow) == nullptr);
    REQUIRE(::operator new (n, std::align_val_t{64}, std::nothrow) == nullptr);
    REQUIRE(::operator new[](n, std::align_val_t{64}, std::nothrow) == nullptr);
    REQUIRE(throws_bad_alloc([&] { return ::operator new[](n); }));
    std::set_new_handler(nullptr);
}

struct Hoard {
    std::vector<std::string> words;
    std::string *extra = nullptr;
    ~Hoard()
    {
        delete extra;
        delete new std::string(5000, 'z'); // allocates while its thread ends
    }
};

void test_thread_local()
{
    for (int i = 0; i < 20; i++) {
        std::thread([] {
            static thread_local Hoard hoard;
            for (int n = 0; n < 500; n++)
                hoard.words.emplace_back(static_cast<std::size_t>(n), 'w');
            hoard.extra = new std::string(3000, 'e');
        }).join();
    }
}

struct Global {
    std::string text = std::string(2000, 'g'); // before main, freed after it
} global;

} // namespace

int main()
{
    test_plain_forms();
    test_aligned_forms();
    test_expressions();
    test_exhausted();
    test_new_handler();
    test_new_handler_of_nothrow();
    test_thread_local();
    REQUIRE(global.text.size() == 2000 && is_ours(global.text.data()));
    std::puts("all forms");
}
