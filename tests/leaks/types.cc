// types: 50 lost objects of net::Session, 50 that are kept, 7 lost ones that shared pointers hold, and an array whose only pointer leads into
// its middle, as a pointer to the elements of `new T[n]` does where T has a destructor.
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <unistd.h>

namespace net
{
struct Session {
    virtual ~Session() {}
    virtual int id()
    {
        return number;
    }
    int number = 7;
    char rest[80] = {};
};
} // namespace net

struct Element {
    ~Element()
    {
        value = 0;
    }
    volatile int value = 1;
};

static net::Session *kept[50];
static Element *volatile elements;

static __attribute__((noinline)) void make(int i)
{
    kept[i] = new net::Session;
    net::Session *lost = new net::Session;
    lost->number = i;
    __asm__ volatile("" : : "r"(lost) : "memory"); // or nobody would write to it
}

struct Node {
    std::pair<std::string, Node *> name;
    std::shared_ptr<Node> itself;
};

static __attribute__((noinline)) void lose_shared()
{
    auto node = std::make_shared<Node>();
    node->itself = node;
}

/* What it returns to nobody but `elements` leaves no reference to the beginning in its caller. */
static __attribute__((noinline)) void make_elements()
{
    elements = new Element[100];
}

static __attribute__((noinline)) void wipe()
{
    char dead[16384];
    memset(dead, 0, sizeof dead);
    __asm__ volatile("" : : "r"(dead) : "memory"); /* or it would be left out */
}

int main()
{
    char byte;
    for (int i = 0; i < 50; i++) make(i);
    for (int i = 0; i < 7; i++) lose_shared();
    make_elements();
    kept[0]->number += elements[5].value;
    wipe();
    operator delete(operator new(sizeof(net::Session)));
    puts("ready");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
    return 0;
}
