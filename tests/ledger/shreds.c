/* shreds COUNT: has about COUNT mappings, as every other page of a range may not be touched, half of the
 * rest of which is resident; says "ready" and stands still until its stdin ends. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    size_t count = argc == 2 ? strtoull(argv[1], NULL, 0) : 0;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char c, *p = mmap(NULL, (count + 1) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);
    if (p == MAP_FAILED) return 3;
    for (size_t i = 0; i < count; i += 2) {
        if (mprotect(p + i * page, page, PROT_NONE)) break; /* at vm.max_map_count */
        if (i % 4 == 0) p[(i + 1) * page] = 1;
    }
    dprintf(1, "ready\n");
    while (read(0, &c, 1) > 0) continue;
    return 0;
}
