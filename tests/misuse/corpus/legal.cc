/* L: the legal programs in C++. */
#include "corpus.h"

#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

void L13()
{
    for (std::size_t size = 1; size < 100000; size = size * 3 / 2 + 1) {
        ::operator delete(OPAQUE(::operator new(size)), size);
        ::operator delete[](OPAQUE(::operator new[](size)), size);
        ::operator delete(OPAQUE(::operator new(size)));
        ::operator delete(OPAQUE(::operator new(size, std::nothrow)), std::nothrow);
    }
    static volatile std::size_t most = SIZE_MAX / 2;
    MUST(!OPAQUE(::operator new(most, std::nothrow)));
    bool thrown = false;
    try {
        ::operator delete(OPAQUE(::operator new(most)));
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    MUST(thrown);
}

namespace
{
struct alignas(256) wide {
    unsigned char bytes[300];
};

struct shape {
    virtual ~shape() = default;
    std::uint64_t words[2] = {1, 2};
};
struct circle final : shape {
    std::uint64_t more[20] = {3};
};
} // namespace

void L14()
{
    for (std::size_t alignment = 16; alignment <= 65536; alignment *= 2) {
        void *block = OPAQUE(::operator new(100, std::align_val_t(alignment)));
        MUST(reinterpret_cast<std::uintptr_t>(block) % alignment == 0);
        ::operator delete(block, std::size_t(100), std::align_val_t(alignment));
    }
    auto *one = OPAQUE(new wide);
    auto *many = OPAQUE(new wide[5]);
    MUST(reinterpret_cast<std::uintptr_t>(many) % 256 == 0);
    delete one;
    delete[] many;
    // Through a base with a virtual destructor: the size is the derived class's.
    shape *round = OPAQUE(static_cast<shape *>(new circle));
    delete round;
}

void L31()
{
    std::map<std::string, std::vector<std::string>> all;
    for (int i = 0; i < 3000; i++) {
        auto &list =
            all[std::string(OPAQUE(std::size_t(20)), char('a' + i % 26)) + std::to_string(i % 300)];
        list.emplace_back(OPAQUE(std::size_t(i % 60)), 'x');
        if (list.size() > 8) list.erase(list.begin());
    }
    auto shared = std::make_shared<std::string>("shared");
    std::weak_ptr<std::string> weak = shared;
    shared.reset();
    MUST(weak.expired());
    bool thrown = false;
    try {
        throw std::runtime_error("an exception is a block, too");
    } catch (const std::exception &) {
        thrown = true;
    }
    MUST(thrown && !all.empty());
}
