// What could break: plain `new` is not in the collector's heap, or is collected; a class of gc_cpp.h is not collected, or
// its destructor does not run; containers with the original's allocators lose what they hold; no memory is no
// exception. Compiled against the original's gc_cpp.h, run over either library.
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <list>
#include <map>
#include <new>
#include <string>
#include <vector>

#include <gc/gc_allocator.h>
#include <gc/gc_cpp.h>

static int failures;

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);           \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

enum { MANY = 300, MOST = MANY * 9 / 10 };

static __attribute__((noinline)) void stack_clear()
{
    volatile char room[16384];
    std::memset((void *)room, 0, sizeof room);
}

static void collect()
{
    for (int i = 0; i < 4; i++) {
        stack_clear();
        GC_gcollect();
        GC_invoke_finalizers();
    }
}

static int destroyed, cleaned;

class node : public gc
{
  public:
    explicit node(node *next) : next(next) {}
    ~node()
    {
        destroyed++;
    }
    node *next;
    char filling[40];
};

class owner : public gc_cleanup
{
  public:
    explicit owner(int value) : value(value) {}
    ~owner() override
    {
        destroyed += value == 7;
    }
    int value;
    owner *other = nullptr;
};

// Not derived from gc, but with a member that is to be cleaned up.
struct holder {
    int before = 3;
    owner part{7};
};

static void *watched[MANY];

static __attribute__((noinline)) int watched_gone()
{
    int gone = 0;
    for (auto *link : watched) gone += link == nullptr;
    return gone;
}

static __attribute__((noinline)) void watch(int i, void *p)
{
    watched[i] = (void *)~(std::uintptr_t)p;
    GC_general_register_disappearing_link(&watched[i], GC_base(p));
}

static node *kept;

static __attribute__((noinline)) void nodes_make(bool keep)
{
    for (int i = 0; i < MANY; i++) {
        node *p = new node(keep ? kept : nullptr);
        if (keep) kept = p;
        watch(i, p);
    }
}

static void test_class_gc()
{
    nodes_make(true);
    collect();
    EXPECT(watched_gone() == 0);
    int length = 0;
    for (node *p = kept; p; p = p->next) length++;
    EXPECT(length == MANY);
    kept = nullptr;
    nodes_make(false);
    collect();
    EXPECT(watched_gone() >= MOST);
    EXPECT(destroyed == 0); // a class of gc has no destructor that the collector calls
    node *p = new node(nullptr);
    delete p;
    EXPECT(destroyed == 1);
    destroyed = 0;
}

static __attribute__((noinline)) void owners_make()
{
    for (int i = 0; i < MANY; i++) new owner(7);
    for (int i = 0; i < MANY; i++) new (GC) holder;
    owner *first = new owner(1);
    first->other = new owner(7); // cleaned up after who refers to it
}

static void test_class_gc_cleanup()
{
    destroyed = 0;
    owners_make();
    collect();
    EXPECT(destroyed >= MOST);
    EXPECT(destroyed <= 2 * MANY + 1);
    int before = destroyed;
    owner *by_hand = new owner(7);
    delete by_hand;
    EXPECT(destroyed == before + 1);
}

static void clean(void *, void *data)
{
    cleaned += *static_cast<int *>(data);
}

static __attribute__((noinline)) void placed_make()
{
    static int one = 1;
    for (int i = 0; i < MANY; i++) ::new (GC, clean, &one) int[10];
}

static void test_placements()
{
    placed_make();
    collect();
    EXPECT(cleaned >= MOST);
    auto **slots = new (NoGC) void *[MANY];
    std::uintptr_t hidden = ~(std::uintptr_t)slots;
    for (int i = 0; i < MANY; i++) {
        slots[i] = new (PointerFreeGC) char[64];
        std::memset(slots[i], i, 64);
        watch(i, slots[i]);
    }
    slots = nullptr;
    collect();
    EXPECT(watched_gone() ==
           0); // nobody refers to what is not to be collected, and it keeps the others
    slots = (void **)~hidden;
    for (int i = 0; i < MANY; i++) EXPECT(((unsigned char *)slots[i])[63] == (i & 0xff));
    GC_FREE(slots);
    slots = nullptr;
    collect();
    EXPECT(watched_gone() >= MOST);
}

static void test_containers()
{
    std::vector<std::string *, gc_allocator<std::string *>> strings;
    std::map<int, void *, std::less<int>, traceable_allocator<std::pair<const int, void *>>> map;
    std::list<void *, gc_allocator<void *>> list;
    std::vector<int, gc_allocator<int>> numbers;
    for (int i = 0; i < 5000; i++) {
        strings.push_back(new (GC) std::string("text"));
        map[i] = std::memset(GC_MALLOC(32), i, 32);
        list.push_back(map[i]);
        numbers.push_back(i);
        if (i % 1000 == 0) collect();
    }
    collect();
    for (int i = 0; i < 5000; i++) {
        EXPECT(*strings[(std::size_t)i] == "text");
        EXPECT(((unsigned char *)map[i])[31] == (i & 0xff));
        EXPECT(numbers[(std::size_t)i] == i);
    }
    EXPECT(list.size() == 5000);
}

#ifdef WITH_GCCPP
static void test_plain_new()
{
    char *p = new char[100];
    EXPECT(GC_base(p) == p);
    void **slot = new void *(GC_STRDUP("held by plain new"));
    std::uintptr_t hidden = ~(std::uintptr_t)slot;
    slot = nullptr;
    collect();
    for (int i = 0; i < 10000; i++) std::memset(GC_MALLOC_ATOMIC(18), 'x', 18);
    slot = (void **)~hidden;
    EXPECT(GC_base(slot) == slot);
    EXPECT(std::strcmp((char *)*slot, "held by plain new") == 0);
    delete slot;
    delete[] p;
    delete static_cast<int *>(nullptr);
    void *q = ::operator new(24, std::nothrow);
    EXPECT(GC_base(q) == q);
    ::operator delete(q, std::nothrow);
}
#endif

template <typename Function> static bool throws(Function function)
{
    try {
        function();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

static volatile std::size_t too_much = PTRDIFF_MAX / 4;

static void ignore(char *, GC_word) {}

static void test_no_memory()
{
    GC_set_warn_proc(ignore);
    EXPECT(throws([] { ::new (GC) char[too_much]; }));
    EXPECT(throws([] { gc::operator new(too_much); }));
    EXPECT(throws([] { GC_throw_bad_alloc(); }));
    EXPECT(throws([] { gc_allocator<char>().allocate(too_much); }));
#ifdef WITH_GCCPP
    EXPECT(throws([] { return ::operator new(too_much); }));
    EXPECT(throws([] { return ::operator new[](too_much); }));
    EXPECT(::operator new(too_much, std::nothrow) == nullptr);
#endif
}

int main()
{
    GC_INIT();
    test_class_gc();
    test_class_gc_cleanup();
    test_placements();
    test_containers();
#ifdef WITH_GCCPP
    test_plain_new();
#endif
    test_no_memory();
    std::printf("%d failures\n", failures);
    return failures != 0;
}
