/* Statistics under glibc's names, and our own. Every number has its meaning beside it. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/format.h"
#include "base/syscall.h"
#include "face/face.h"
#include "os/os.h"
#include "span/purger.h"

PUBLIC const char *fh_version(void)
{
    return FH_VERSION_TEXT;
}

PUBLIC void fh_usage_get(struct fh_usage *usage)
{
    policy_usage(usage);
}

/* Everything a statistics function prints. */
struct facts {
    struct fh_usage usage;
    uint64_t slab_bytes;  /* spans in use as slabs */
    uint64_t large_bytes; /* live large blocks */
    uint64_t large_count;
    uint64_t small_live;
    uint64_t free_bytes; /* held and free, resident or about to be reused */
    uint64_t purged;
    uint32_t heaps;
};

static struct facts facts_get(void)
{
    struct facts f;
    policy_usage(&f.usage);
    f.slab_bytes = __atomic_load_n(&fh_registry.slabs, __ATOMIC_RELAXED) << SLICE_SHIFT;
    f.large_bytes = __atomic_load_n(&fh_registry.large_bytes, __ATOMIC_RELAXED);
    f.large_count = __atomic_load_n(&fh_registry.large_count, __ATOMIC_RELAXED);
    f.small_live = f.usage.live - base_min(f.large_bytes, f.usage.live);
    f.free_bytes = f.usage.free_in_slabs + f.usage.thread_lists + f.usage.remote + f.usage.dirty;
    f.purged = __atomic_load_n(&fh_registry.purged_bytes, __ATOMIC_RELAXED);
    f.heaps = policy_heaps();
    return f;
}

static void stats_put(int fd, const struct stats_line *say)
{
    char line[160];
    struct text t = TEXT(line);
    text_str(&t, "freehold: ");
    text_str(&t, say->what);
    while (t.length < 28) text_char(&t, ' ');
    if (say->value)
        text_str(&t, say->value);
    else
        text_size(&t, say->bytes);
    while (t.length < 40) text_char(&t, ' ');
    text_str(&t, say->why);
    text_char(&t, '\n');
    os_write(fd, line, t.length);
}

static void stats_bytes(int fd, const char *what, uint64_t bytes, const char *why)
{
    stats_put(fd, &(struct stats_line){.what = what, .bytes = bytes, .why = why});
}

static void stats_print(int fd)
{
    struct facts f = facts_get();
    stats_bytes(fd, "live", f.usage.live, "blocks that the program holds, rounded to their class");
    stats_bytes(fd, "  of it large", f.large_bytes, "blocks above 64 KiB");
    stats_bytes(fd, "free in slabs", f.usage.free_in_slabs, "beside live blocks, ready for reuse");
    stats_bytes(fd, "in thread lists", f.usage.thread_lists, "what threads allocate from next");
    policy_stats(&f.usage, stats_put, fd);
    stats_bytes(fd, "free spans", f.usage.dirty, "goes back to the kernel after purge_delay");
    stats_bytes(fd, "own records", f.usage.metadata, "descriptors and heaps");
    stats_bytes(fd, "given back so far", f.purged, "to the kernel");
}

/* ---- option stats=1 ------------------------------------------------------------------------------ */

/* Standard error as it was at the start: many programs close it before our destructor runs, and what is
 * then opened under its number is a file of theirs. */
static struct {
    int fd; /* 0: none was kept */
    dev_t device;
    ino_t file;
} stats_to;

static bool stats_file(int fd, struct stat *status)
{
    return !base_syscall_failed(SYS2(SYS_fstat, fd, status));
}

void stats_keep_stderr(void)
{
    enum { OUT_OF_THE_WAY = 100 };
    struct stat status;
    long fd = SYS3(SYS_fcntl, 2, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
    if (base_syscall_failed(fd) || !stats_file((int)fd, &status)) return;
    stats_to.fd = (int)fd;
    stats_to.device = status.st_dev;
    stats_to.file = status.st_ino;
}

/* Several processes may say theirs on one terminal. */
static void stats_title(int fd)
{
    char line[80];
    struct text t = TEXT(line);
    text_str(&t, "freehold: statistics of process ");
    text_dec(&t, os_process_id());
    text_str(&t, ", ");
    int comm = os_file_open("/proc/self/comm");
    long n = comm < 0 ? 0 : os_file_read(comm, line + t.length, 32);
    if (comm >= 0) os_file_close(comm);
    t.length += n > 0 ? (size_t)n - 1 : 0;
    text_char(&t, '\n');
    os_write(fd, line, t.length);
}

__attribute__((destructor)) static void stats_at_exit(void)
{
    struct stat now;
    if (!options.stats || !arena.size) return;
    int fd = stats_to.fd ? stats_to.fd : 2;
    bool same = stats_to.fd == 0 || (stats_file(fd, &now) && now.st_dev == stats_to.device &&
                                     now.st_ino == stats_to.file);
    if (!same) return;
    stats_title(fd);
    stats_print(fd);
}

#ifndef FH_NO_INTERPOSE

PUBLIC void malloc_stats(void)
{
    if (arena.size) stats_print(2);
}

/* mallinfo2 in our terms:
 *   arena     bytes in slabs and in free spans that may be resident
 *   ordblks   slabs in use (glibc: free chunks, which nobody here counts one by one)
 *   hblks     live large blocks           hblkhd    their bytes
 *   uordblks  bytes of live small blocks  fordblks  bytes held and free
 *   keepcost  bytes that malloc_trim would surely return */
PUBLIC struct mallinfo2 mallinfo2(void)
{
    if (arena.size == 0) return (struct mallinfo2){0};
    struct facts f = facts_get();
    return (struct mallinfo2){
        .arena = f.small_live + f.free_bytes,
        .ordblks = f.slab_bytes >> SLICE_SHIFT,
        .hblks = f.large_count,
        .hblkhd = f.large_bytes,
        .uordblks = f.small_live,
        .fordblks = f.free_bytes,
        .keepcost = f.usage.dirty,
    };
}

static int clamp(size_t n)
{
    return n > INT32_MAX ? INT32_MAX : (int)n;
}

/* The old structure holds ints: what does not fit is INT_MAX, not a wrapped number. */
PUBLIC struct mallinfo mallinfo(void)
{
    struct mallinfo2 m = mallinfo2();
    return (struct mallinfo){
        .arena = clamp(m.arena),
        .ordblks = clamp(m.ordblks),
        .hblks = clamp(m.hblks),
        .hblkhd = clamp(m.hblkhd),
        .uordblks = clamp(m.uordblks),
        .fordblks = clamp(m.fordblks),
        .keepcost = clamp(m.keepcost),
    };
}

static void info_sizes(FILE *file)
{
    uint64_t allocated[POLICY_CLASSES];
    policy_allocated(allocated);
    for (unsigned c = 1; c < POLICY_CLASSES; c++)
        if (allocated[c])
            fprintf(file, "  <size class=\"%u\" bytes=\"%u\" allocated=\"%llu\"/>\n", c,
                    policy_class_size(c), (unsigned long long)allocated[c]);
}

PUBLIC int malloc_info(int flags, FILE *file)
{
    if (flags != 0) return EINVAL;
    if (!face_start()) return ENOMEM;
    struct facts f = facts_get();
    struct {
        const char *type;
        uint64_t bytes;
    } totals[] = {
        {"live", f.usage.live},
        {"large", f.large_bytes},
        {"free-in-slabs", f.usage.free_in_slabs},
        {"thread-lists", f.usage.thread_lists},
        {"remote", f.usage.remote},
        {"dirty", f.usage.dirty},
        {"metadata", f.usage.metadata},
        {"purged", f.purged},
    };
    fprintf(file, "<malloc version=\"freehold-%s\">\n<heap nr=\"%u\">\n <sizes>\n", FH_VERSION_TEXT,
            f.heaps);
    info_sizes(file);
    fprintf(file, " </sizes>\n");
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        fprintf(file, " <total type=\"%s\" size=\"%llu\"/>\n", totals[i].type,
                (unsigned long long)totals[i].bytes);
    fprintf(file, "</heap>\n</malloc>\n");
    return 0;
}

/* Says 1 only for what is then true. There are no arenas to limit, no mmap threshold and no fast
 * bins here; unused memory goes back whatever the trim threshold, unless it is switched off. */
PUBLIC int mallopt(int parameter, int value)
{
    if (!face_start()) return 0;
    if (parameter != M_TRIM_THRESHOLD) return 0;
    return fh_option_set("purge", value == -1 ? "0" : "1") == 0;
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmissing-attributes"
#endif
PUBLIC struct mallinfo __libc_mallinfo(void) __attribute__((alias("mallinfo")));
PUBLIC int __libc_mallopt(int parameter, int value) __attribute__((alias("mallopt")));

#endif
