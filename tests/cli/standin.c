/*
 * Stands in for libfreehold where a test must know every number: it owns malloc (and hands it to the
 * C library), has a registry, and claims a slot of the run file that it fills with fixed figures.
 *
 * STANDIN=silent   claims nothing, as a library that did not take effect
 * STANDIN=broken   fills the registry and the slots with numbers that contradict each other
 * STANDIN=future   a registry of a version that nobody knows
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <freehold/registry.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

void *malloc(size_t size)
{
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
    return __libc_realloc(p, size);
}

void free(void *p)
{
    __libc_free(p);
}

/* Two heaps, then descriptors: 2 slabs with 100 and 50 blocks of 64 bytes, a large block of 1 MiB,
 * a free span of 128 KiB that is dirty and one that is not. */
static struct fh_heap heaps[2] = {{.state = FH_HEAP_LIVE}, {.state = FH_HEAP_IDLE}};
static struct fh_span spans[32];

struct fh_registry fh_registry = {
    .magic = FH_REGISTRY_MAGIC,
    .version = FH_REGISTRY_VERSION,
    .size = sizeof(struct fh_registry),
    .library = "9.8.7",
    .base = 0,
    .heap_count = 2,
    .heap_stride = sizeof(struct fh_heap),
    .first_slice = 1,
    .high = 22,
    .span_bytes = sizeof spans,
    .purged_bytes = 3 << 20,
    .threads_peak = 2,
    .class_size = {[5] = 64},
};

static void registry_fill(void)
{
    fh_registry.base = (uintptr_t)spans;
    fh_registry.limit = fh_registry.base + (32ull << FH_SLICE_SHIFT);
    fh_registry.heaps = (uintptr_t)heaps;
    spans[1] = (struct fh_span){.kind = FH_SPAN_SLAB, .size_class = 5, .countdown = 90, .rest = 10};
    spans[2] = (struct fh_span){.kind = FH_SPAN_SLAB, .size_class = 5, .countdown = 50};
    spans[3] = (struct fh_span){.kind = FH_SPAN_LARGE, .slices = 16, .bytes = 1 << 20};
    spans[19] = (struct fh_span){.kind = FH_SPAN_FREE, .slices = 2, .flags = FH_SPAN_DIRTY};
    spans[21] = (struct fh_span){.kind = FH_SPAN_FREE, .slices = 1};
}

static void registry_break(void)
{
    fh_registry.high = UINT32_MAX;
    fh_registry.heap_count = UINT32_MAX;
}

static void slot_fill(struct fh_run_slot *slot)
{
    slot->pid = (uint32_t)getpid();
    slot->parent = (uint32_t)getppid();
    slot->stands = 1;
    slot->started_ms = 1000;
    slot->updated_ms = 3000;
    slot->peak =
        (struct fh_usage){.live = 38 << 20, .free_in_slabs = 1 << 20, .thread_lists = 1 << 20};
    slot->last = (struct fh_usage){.live = 1 << 20, .dirty = 2 << 20};
    slot->allocated = 1200000;
    slot->allocated_bytes = 120000000;
    slot->threads_peak = 3;
    slot->heaps = 2;
    slot->bucket[4] = 1000000;
    slot->bucket[6] = 200000;
    prctl(PR_GET_NAME, slot->program);
}

static void slot_break(struct fh_run_slot *slot)
{
    memset(slot, 0xff, sizeof *slot);
    slot->pid = (uint32_t)getpid();
    memset(slot->program, 0x1b, sizeof slot->program); /* no terminator, and steers terminals */
}

static struct fh_run_slot *slots_map(void)
{
    char path[64];
    const char *options = getenv("FREEHOLD_OPTIONS");
    const char *found = options ? strstr(options, "run_file=") : NULL;
    if (!found) return NULL;
    found += strlen("run_file=");
    size_t length = strcspn(found, ",");
    if (length >= sizeof path) return NULL;
    memcpy(path, found, length);
    path[length] = 0;
    int fd = open(path, O_RDWR);
    if (fd < 0) return NULL;
    void *p = mmap(NULL, FH_RUN_SLOTS * sizeof(struct fh_run_slot), PROT_READ | PROT_WRITE,
                   MAP_SHARED, fd, 0);
    close(fd);
    return p == MAP_FAILED ? NULL : p;
}

static struct fh_run_slot *slot;

__attribute__((constructor)) static void standin_start(void)
{
    const char *mode = getenv("STANDIN");
    bool broken = mode && strcmp(mode, "broken") == 0;
    registry_fill();
    if (broken) registry_break();
    if (mode && strcmp(mode, "future") == 0) fh_registry.version = 1000;
    struct fh_run_slot *slots = mode && strcmp(mode, "silent") == 0 ? NULL : slots_map();
    if (!slots) return;
    uint32_t i = __atomic_fetch_add(&slots[0].claimed, 1, __ATOMIC_RELAXED);
    if (i >= FH_RUN_SLOTS) return;
    slot = &slots[i];
    (broken ? slot_break : slot_fill)(slot);
    if (broken) slots[0].claimed = UINT32_MAX;
}

__attribute__((destructor)) static void standin_finish(void)
{
    if (slot) slot->finished = 1;
}
