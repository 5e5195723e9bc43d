// A C++ program that is linked with the hardened library for freehold/zone.h: an object made in a zone, and one by type.
#include <freehold/zone.h>

#include <cstdio>
#include <cstdlib>
#include <new>

namespace
{

struct session {
    explicit session(int number) : number(number)
    {
        live++;
    }
    ~session()
    {
        live--;
    }
    int number;
    static int live;
};
int session::live;

} // namespace

int main()
{
    fh_zone *zone = fh_zone_create("sessions", sizeof(session), 0);
    session *one = new (fh_zone_allocate(zone, sizeof(session))) session(7);
    session *two = new (fh_new(session)) session(8);
    bool right = one->number + two->number == 15 && session::live == 2 && fh_zone_count(zone) == 1;
    two->~session();
    std::free(two);
    one->~session();
    fh_zone_free(zone, one);
    fh_zone_destroy(zone);
    if (!right) std::fputs("consumer: objects in zones are not as they should be\n", stderr);
    return right ? 0 : 1;
}
