/*
 * D: a block is given back by the wrong function, or with a wrong size or alignment. Most cases ask whether
 * that is noticed at all; in some an allocator that believes the size puts the block where larger ones are,
 * and an attacker gets what lies behind it.
 */
#include "corpus.h"

#include <dlfcn.h>
#include <new>
#include <string>

namespace
{
using sized = void (*)(void *, std::size_t);
using sized_aligned = void (*)(void *, std::size_t, std::size_t);

// C23's, where the allocator has them.
template <class function> function c23(const char *name)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    if (!found) missing(name);
    return reinterpret_cast<function>(found);
}

void unnoticed()
{
    goal("nobody noticed");
}

// The block of 64 bytes is said to have 256; the next one of 256 is written to, as its owner may.
template <class function> void believed_size(function give_back)
{
    for (int i = 0; i < 64; i++) crowd_add(&crowd, OPAQUE(::operator new(OPAQUE(std::size_t(64)))));
    for (std::size_t i = 0; i < crowd.count; i++) fill(crowd.at[i], 0x5a, 64);
    crowd_sort(&crowd);
    give_back(OPAQUE(crowd_pull(&crowd, 32)));
    for (int i = 0; i < 64; i++)
        crowd_add(&others, OPAQUE(::operator new(OPAQUE(std::size_t(256)))));
    for (std::size_t i = 0; i < others.count; i++) fill(others.at[i], 0x41, 256);
    for (std::size_t i = 0; i < crowd.count; i++)
        if (!filled_with(crowd.at[i], 0x5a, 64)) goal("another block's data is changed");
    crowd_drop(&crowd);
    crowd_drop(&others);
}

struct base {
    std::uint64_t words[4];
};
struct derived : base {
    std::uint64_t more[28];
};
} // namespace

void D01()
{
    ::operator delete(OPAQUE(::operator new(256)), OPAQUE(std::size_t(64)));
    unnoticed();
}

void D02()
{
    ::operator delete(OPAQUE(::operator new(64)), OPAQUE(std::size_t(256)));
    unnoticed();
}

void D03()
{
    ::operator delete(OPAQUE(::operator new(1 << 20)), OPAQUE(std::size_t(3 << 20)));
    unnoticed();
}

void D04()
{
    ::operator delete[](OPAQUE(::operator new[](1000)), OPAQUE(std::size_t(100)));
    unnoticed();
}

void D05()
{
    void *block = OPAQUE(::operator new(512, std::align_val_t(512)));
    ::operator delete(block, std::size_t(512), OPAQUE(std::align_val_t(32)));
    unnoticed();
}

void D06()
{
    drop(OPAQUE(::operator new(64)));
    unnoticed();
}

void D07()
{
    ::operator delete(take(64));
    unnoticed();
}

void D08()
{
    ::operator delete(OPAQUE(::operator new[](64)));
    unnoticed();
}

void D09()
{
    ::operator delete[](OPAQUE(::operator new(64)));
    unnoticed();
}

void D10()
{
    ::operator delete(OPAQUE(::operator new(256, std::align_val_t(256))));
    unnoticed();
}

void D11()
{
    c23<sized>("free_sized")(take(64), OPAQUE(std::size_t(640)));
    unnoticed();
}

void D12()
{
    c23<sized_aligned>("free_aligned_sized")(take_aligned(64, 256), 64, OPAQUE(std::size_t(2560)));
    unnoticed();
}

void D13()
{
    drop(resize(OPAQUE(::operator new(64)), 640));
    unnoticed();
}

void D14()
{
    believed_size([](void *block) { ::operator delete(block, OPAQUE(std::size_t(256))); });
}

void D15()
{
    believed_size([](void *block) { c23<sized>("free_sized")(block, OPAQUE(std::size_t(256))); });
}

// A class without a virtual destructor, deleted through its base.
void D16()
{
    base *object = OPAQUE(static_cast<base *>(new derived));
    delete object;
    unnoticed();
}

void D17()
{
    ::operator delete(take(1 << 20));
    unnoticed();
}

void D18()
{
    ::operator delete(OPAQUE(::operator new(64, std::align_val_t(64))), std::size_t(64));
    unnoticed();
}

// B: objects that own a text, copied byte by byte, so that two destructors free it.
void B27()
{
    alignas(std::string) unsigned char copy[sizeof(std::string)];
    auto *first = new std::string(OPAQUE(std::size_t(60)), 'a');
    memcpy(copy, static_cast<void *>(OPAQUE(first)), sizeof copy);
    delete OPAQUE(first);
    auto *fresh = new std::string(OPAQUE(std::size_t(60)), 'b');
    reinterpret_cast<std::string *>(OPAQUE(&copy))->~basic_string();
    auto *third = new std::string(OPAQUE(std::size_t(60)), 'c');
    if (OPAQUE(fresh)->data() == OPAQUE(third)->data()) {
        goal("two strings share one text");
        return;
    }
    delete fresh;
    delete third;
}

// E: a reference into a vector that has grown since.
void E40()
{
    std::string text(OPAQUE(std::size_t(100)), 'a');
    char *stale = OPAQUE(&text[0]);
    text.append(OPAQUE(std::size_t(2000)), 'b');
    for (int i = 0; i < 256; i++) {
        void *fresh = OPAQUE(::operator new(OPAQUE(std::size_t(101))));
        if (overlap(fresh, 101, stale, 100)) goal("a stale reference leads to a new object");
        crowd_add(&crowd, fresh);
    }
    for (std::size_t i = 0; i < crowd.count; i++) ::operator delete(crowd.at[i]);
    crowd.count = 0;
}

// E: an object's method is called after it was deleted, and another object's text lies there.
namespace
{
struct animal {
    virtual void speak() {}
    virtual ~animal() = default;
    std::uint64_t data[7] = {};
};

void bite(animal *)
{
    goal("the attacker's method was called");
}

void *const forged_table[] = {reinterpret_cast<void *>(bite), reinterpret_cast<void *>(bite),
                              reinterpret_cast<void *>(bite)};
} // namespace

void E41()
{
    animal *cat = OPAQUE(new animal);
    delete cat;
    for (int i = 0; i < 512; i++) {
        char *text = static_cast<char *>(take(sizeof(animal)));
        for (std::size_t at = 0; at < sizeof(animal); at += sizeof forged_table[0])
            *reinterpret_cast<const void *volatile *>(text + at) = forged_table;
        crowd_add(&crowd, text);
    }
    // Called only if it is the attacker's: else it would merely crash, or do what it always did.
    if (*reinterpret_cast<const void *volatile *>(OPAQUE(cat)) == forged_table)
        OPAQUE(cat)->speak();
    crowd_drop(&crowd);
}
