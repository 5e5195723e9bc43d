/* The smallest audit library (man 7 rtld-audit): it makes the dynamic linker work in two namespaces,
 * with a second libc, before the program's own malloc exists. */
#include <link.h>

unsigned la_version(unsigned version);
unsigned la_version(unsigned version)
{
    return version;
}

unsigned la_objopen(struct link_map *map, Lmid_t id, uintptr_t *cookie);
unsigned la_objopen(struct link_map *map, Lmid_t id, uintptr_t *cookie)
{
    (void)map, (void)id, (void)cookie;
    return LA_FLG_BINDFROM | LA_FLG_BINDTO;
}
