/*
 * What belongs in a core dump: what is in use, and nothing else of the terabytes that are reserved.
 *
 * What could break: gcore writes everything that is not marked, read or not: it fills the disk.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <freehold/freehold.h>
#include <freehold/registry.h>

#include "kit/expect.h"

int main(void)
{
    char line[4096], rights[5] = "";
    uint64_t start = 0, end = 0, used = 0, left_out = 0;
    void *small = fh_malloc(1), *large = fh_malloc((size_t)100 << 20);
    EXPECT(small && large, "memory");
    FILE *smaps = fopen("/proc/self/smaps", "r");
    EXPECT(smaps != NULL, "/proc/self/smaps");
    while (fgets(line, sizeof line, smaps)) {
        uint64_t from, to; /* other lines begin like a number too */
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &from, &to, rights) == 3) {
            start = from;
            end = to;
            continue;
        }
        if (strncmp(line, "VmFlags:", 8) != 0) continue;
        if (end <= fh_registry.base || start >= fh_registry.limit) continue;
        bool marked = strstr(line, " dd ") || strstr(line, " dd\n"), writable = rights[1] == 'w';
        EXPECT(marked != writable, "%" PRIx64 "-%" PRIx64 " %s: %s", start, end, rights, line);
        *(writable ? &used : &left_out) += end - start;
    }
    EXPECT(used >= (size_t)100 << 20 && used < (size_t)200 << 20, "%" PRIu64 " in dumps", used);
    EXPECT(used + left_out >= fh_registry.limit - fh_registry.base, "%" PRIu64, left_out);
    fclose(smaps);
    fh_free(small);
    fh_free(large);
    return 0;
}
