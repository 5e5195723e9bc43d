/*
 * spread [THREADS]: a process with something in every row of the ledger that can be made by asking, then
 * "ready", and it stands still until its stdin ends. THREADS threads hold 1 MiB of their stack each; the
 * first of them runs all the time. It says "ready" and the addresses of a live block of 100 bytes, of a
 * freed one, of 20 MiB, of its stack, of the zero page and of what may not be touched. At each line of its
 * stdin it calls malloc_trim(0) and says "trimmed".
 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MIB = 1 << 20, BLOCKS = 40000, THREADS_MAX = 16 };

static char *blocks[BLOCKS];
static char zeroed[3 * MIB], *large, *zero_page, *forbidden;
static pthread_barrier_t all_stand;
static volatile int end;

static void *stand(void *run)
{
    volatile char deep[MIB];
    for (size_t i = 0; i < sizeof deep; i += 1024) deep[i] = 1;
    char *own = malloc(100000);
    memset(own, 1, 100000);
    pthread_barrier_wait(&all_stand);
    while (run && !end) continue;
    while (!end) usleep(10000);
    free(own);
    return NULL;
}

static void *touched(int flags, int fd, size_t size)
{
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (p == MAP_FAILED) exit(3);
    memset(p, 1, size);
    return p;
}

static void spread_memory(void)
{
    for (int i = 0; i < BLOCKS; i++) blocks[i] = memset(malloc(250), 1, 250);
    for (int i = 0; i < BLOCKS; i++)
        if (i % 100 && i < BLOCKS / 2) free(blocks[i]);
    memset(zeroed, 1, sizeof zeroed);
    large = memset(malloc(20 * MIB), 1, 20 * MIB);
    int fd = memfd_create("spread", 0);
    if (fd < 0 || ftruncate(fd, 2 * MIB)) exit(3);
    touched(MAP_SHARED, fd, 2 * MIB);
    touched(MAP_SHARED | MAP_ANONYMOUS, -1, MIB);
    touched(MAP_PRIVATE | MAP_ANONYMOUS, -1, 5 * MIB);
    forbidden = mmap(NULL, 100 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    zero_page = mmap(NULL, MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < MIB; i += 4096) (void)*(volatile char *)(zero_page + i);
}

int main(int argc, char **argv)
{
    pthread_t thread[THREADS_MAX];
    unsigned threads = argc == 2 ? (unsigned)strtoul(argv[1], NULL, 0) : 0;
    if (threads > THREADS_MAX) return 2;
    char c, *block = malloc(100);
    memset(block, 1, 100);
    spread_memory();
    pthread_barrier_init(&all_stand, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++)
        pthread_create(&thread[i], NULL, stand, i == 0 ? argv : NULL);
    pthread_barrier_wait(&all_stand);
    dprintf(1, "ready %p %p %p %p %p %p\n", (void *)block, (void *)blocks[1],
            (void *)(large + 9 * MIB), (void *)&c, (void *)zero_page, (void *)forbidden);
    while (read(0, &c, 1) > 0) {
        if (c != '\n') continue;
        malloc_trim(0);
        dprintf(1, "trimmed\n");
    }
    end = 1;
    for (unsigned i = 0; i < threads; i++) pthread_join(thread[i], NULL);
    return 0;
}
