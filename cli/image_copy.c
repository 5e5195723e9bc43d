/*
 * Copying the memory of a process that stands still.
 *
 * The kernel says which pages are there (pages.h), so that holes are neither read nor filled, and take no time. The
 * copy is one reserved stretch for all segments, since a process may have more mappings than this one could make.
 * Two threads copy, a piece at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "file.h"
#include "human.h"
#include "image.h"
#include "pages.h"

enum { PIECE = 8 << 20, HUGE = 2 << 20, COPIERS = 2 };

/* ---- what to copy --------------------------------------------------------------------------- */

static bool is_memory_file(const struct mapping *m)
{
    static const char *const kinds[] = {"/dev/shm/", "/memfd:", "/dev/zero", "/SYSV"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strncmp(m->path, kinds[i], strlen(kinds[i])) == 0) return true;
    }
    return false;
}

/* What is larger and may not be read is reserved for something, and its page table takes long to read. */
enum { SEALED_MAX = 1 << 30 };

static bool is_sealed(const struct mapping *m)
{
    return !m->readable && !m->shared && m->inode == 0 && m->end - m->start <= SEALED_MAX;
}

/* Devices may do something when they are read; [vvar] and the like belong to the kernel. */
static bool is_wanted(const struct image *image, const struct mapping *m)
{
    if (m->path[0] == '[' && strncmp(m->path, "[v", 2) == 0) return false;
    if (!m->readable) return image->thorough && is_sealed(m);
    if (m->shared) return m->writable && is_memory_file(m);
    return strncmp(m->path, "/dev/", 5) != 0 || is_memory_file(m);
}

static bool may_join(const struct mapping *a, const struct mapping *b)
{
    return a->end == b->start && a->inode == 0 && b->inode == 0 && !a->shared && !b->shared;
}

static bool plan_segments(struct image *image)
{
    const struct mapping *before = NULL;
    image->segments = calloc(image->maps.count + 1, sizeof *image->segments);
    for (size_t i = 0; image->segments && i < image->maps.count; i++) {
        const struct mapping *m = &image->maps.list[i];
        if (!is_wanted(image, m)) continue;
        if (before && may_join(before, m))
            image->segments[image->segment_count - 1].end = m->end;
        else
            image->segments[image->segment_count++] =
                (struct segment){.start = m->start,
                                 .end = m->end,
                                 .shared = m->shared,
                                 .anonymous = m->inode == 0 && m->writable};
        before = m;
    }
    return image->segments != NULL;
}

/* ---- which pages are there ------------------------------------------------------------------ */

struct scanning {
    struct image *image;
    struct segment *segment;
    bool failed;
};

static void add_run(void *context, uint64_t start, uint64_t end)
{
    struct scanning *s = context;
    if (!s->failed) s->failed = !image_add_run(s->image, s->segment, start, end);
}

/* What cannot be told is taken to be there, but for a process that runs: its mappings may be gone. */
static bool scan_pages(struct image *image, struct segment *s, const struct pages *p)
{
    struct scanning scanning = {image, s, false};
    uint64_t at = s->start;
    unsigned held = (image->memory ? 0 : PAGES_SWAPPED) | (s->shared ? 0 : PAGES_OWN);
    bool told = p->fd >= 0 && pages_each_held(p, held, &at, s->end, add_run, &scanning);
    if (!told && !image->memory) add_run(&scanning, at, s->end);
    return !scanning.failed;
}

static bool scan_segments(struct image *image, pid_t source, pid_t target)
{
    struct pages own, shared;
    bool done = pages_open(&own, source) || !image->memory;
    pages_open(&shared, target);
    for (size_t i = 0; done && i < image->segment_count; i++) {
        struct segment *s = &image->segments[i];
        done = scan_pages(image, s, s->shared ? &shared : &own);
    }
    pages_close(&own);
    pages_close(&shared);
    return done;
}

/* ---- where to ------------------------------------------------------------------------------- */

uint64_t image_room(void)
{
    struct file_text text;
    uint64_t kib = UINT64_MAX >> 10;
    if (!file_read(&text, "/proc/meminfo", 1 << 16)) return UINT64_MAX;
    const char *at = strstr(text.data, "MemAvailable:");
    if (at) {
        at += strcspn(at, "0123456789");
        parse_dec(&at, text.data + text.size, &kib);
    }
    free(text.data);
    return kib << 10;
}

static bool has_room(const struct image *image, char why[IMAGE_WHY])
{
    uint64_t available = image_room();
    if (image->present < available - available / 8) return true;
    snprintf(
        why, IMAGE_WHY,
        "%s must be copied and only %s of memory are available: use --scratch DIR with a folder on "
        "a disk, or take a core file and look into that",
        HUMAN(bytes, image->present), HUMAN(bytes, available));
    return false;
}

/* Without a name: it goes with the last that uses it. */
static int scratch_open(const char *folder)
{
    return open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static bool refuse_scratch(char why[IMAGE_WHY], const char *folder, int error)
{
    const char *what = error == EOPNOTSUPP || error == EISDIR
                           ? "its file system has no files without a name"
                           : strerror(error);
    snprintf(why, IMAGE_WHY, "cannot keep a copy in %s: %s", *folder ? folder : "''", what);
    return false;
}

bool image_scratch_possible(const char *folder, char why[IMAGE_WHY])
{
    int fd = scratch_open(folder);
    if (fd < 0) return refuse_scratch(why, folder, errno);
    close(fd);
    return true;
}

/* The file has holes where nothing is copied: it may be many times as long as what it needs. Writing beyond what is
 * free would look like memory that cannot be read. */
static int scratch_create(const struct image *image, const char *folder, uint64_t size,
                          char why[IMAGE_WHY])
{
    struct statvfs system;
    int fd = scratch_open(folder);
    signal(SIGXFSZ,
           SIG_IGN); /* ulimit -f is an error here, and not our end while a process stands */
    if (fd < 0 || fstatvfs(fd, &system) != 0 || ftruncate(fd, (off_t)size) != 0) {
        refuse_scratch(why, folder, errno);
    } else if (image->present > (uint64_t)system.f_bavail * system.f_frsize) {
        snprintf(why, IMAGE_WHY, "%s must be copied and only %s are free in %s",
                 HUMAN(bytes, image->present),
                 HUMAN(bytes, (uint64_t)system.f_bavail * system.f_frsize), folder);
    } else {
        return fd;
    }
    if (fd >= 0) close(fd);
    return -1;
}

/* Each segment lies as its addresses lie to huge pages, so that a copy can have them too; and no two share
 * a unit of those that are read when they are needed. */
static uint64_t place(const struct segment *s, uint64_t at)
{
    at = (at + IMAGE_AT_ONCE - 1) & ~(uint64_t)(IMAGE_AT_ONCE - 1);
    if (s->end - s->start < HUGE) return at;
    return (at & ~(uint64_t)(HUGE - 1)) + (s->start & (HUGE - 1)) +
           ((at & (HUGE - 1)) > (s->start & (HUGE - 1)) ? HUGE : 0);
}

static bool reserve_copy(struct image *image, const char *scratch, char why[IMAGE_WHY])
{
    uint64_t size = HUGE;
    int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct segment *s = &image->segments[i];
        size = place(s, size) + (s->end - s->start);
    }
    if (scratch) {
        if ((fd = scratch_create(image, scratch, size, why)) < 0) return false;
        flags = MAP_SHARED | MAP_NORESERVE;
    }
    void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (copy == MAP_FAILED)
        snprintf(why, IMAGE_WHY, "cannot reserve addresses for a copy of %s: %s",
                 HUMAN(bytes, image->present), strerror(errno));
    if (fd >= 0) close(fd);
    if (copy == MAP_FAILED) return false;
    image->copy = copy;
    image->copy_size = size;
    uint64_t at = HUGE;
    for (size_t i = 0; i < image->segment_count; i++) {
        struct segment *s = &image->segments[i];
        at = place(s, at);
        s->bytes = image->copy + at;
        at += s->end - s->start;
    }
    return true;
}

/* ---- copying -------------------------------------------------------------------------------- */

struct copying {
    struct image *image;
    pid_t source;
    bool huge;
    pthread_mutex_t lock;
    size_t segment, run; /* the next piece */
    uint64_t offset;
    uint64_t unread;
};

struct piece {
    uint64_t start, size;
    unsigned char *to;
};

/* The next piece that nobody has; called with the lock. */
static bool next_piece(struct copying *c, struct piece *piece)
{
    struct image *image = c->image;
    for (; c->segment < image->segment_count; c->segment++, c->run = 0) {
        const struct segment *s = &image->segments[c->segment];
        for (; c->run < s->runs; c->run++, c->offset = 0) {
            const struct run *run = &image->runs[s->first_run + c->run];
            uint64_t start = run->start + c->offset;
            if (start >= run->end) continue;
            uint64_t end = (start + PIECE) & ~(uint64_t)(HUGE - 1);
            if (end > run->end) end = run->end;
            *piece =
                (struct piece){start, end - start, (unsigned char *)s->bytes + (start - s->start)};
            c->offset += piece->size;
            return true;
        }
    }
    return false;
}

/* A page that cannot be read (a file that was cut) stays zero. */
static uint64_t copy_pages(const struct memory *memory, const struct piece *piece)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), unread = 0;
    for (uint64_t at = 0; at < piece->size; at += page) {
        if (!memory_read(memory, piece->start + at, piece->to + at, page)) unread += page;
    }
    return unread;
}

static void *copier(void *argument)
{
    struct copying *c = argument;
    struct process_memory context;
    struct memory memory = memory_of(&context, c->source);
    struct piece piece;
    uint64_t unread = 0;
    for (;;) {
        pthread_mutex_lock(&c->lock);
        bool more = next_piece(c, &piece);
        c->unread += more ? 0 : unread;
        pthread_mutex_unlock(&c->lock);
        if (!more) break;
        if (c->huge && piece.size >= HUGE)
            madvise(piece.to, piece.size & ~(uint64_t)(HUGE - 1), MADV_HUGEPAGE);
        if (!memory_read(&memory, piece.start, piece.to, piece.size))
            unread += copy_pages(&memory, &piece);
    }
    memory_finish(&context);
    return NULL;
}

static void copy_all(struct image *image, pid_t source, bool huge)
{
    struct copying c = {
        .image = image, .source = source, .huge = huge, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[COPIERS - 1];
    int started = 0;
    while (started < COPIERS - 1 && pthread_create(&threads[started], NULL, copier, &c) == 0)
        started++;
    copier(&c);
    while (started > 0) pthread_join(threads[--started], NULL);
    image->unread = c.unread;
}

/* What image->maps lists. */
static bool copy_mappings(struct image *image, pid_t source, pid_t target, const char *scratch,
                          char why[IMAGE_WHY])
{
    snprintf(why, IMAGE_WHY, "out of memory while looking at process %d", (int)target);
    if (!plan_segments(image) || !scan_segments(image, source, target)) return false;
    if (!scratch && !has_room(image, why)) return false;
    if (!reserve_copy(image, scratch, why)) return false;
    copy_all(image, source, !scratch);
    return true;
}

static void drop_shared(struct maps *maps)
{
    size_t kept = 0;
    for (size_t i = 0; i < maps->count; i++) {
        if (!maps->list[i].shared) maps->list[kept++] = maps->list[i];
    }
    maps->count = kept;
}

bool image_copy(struct image *image, pid_t source, pid_t target, const struct image_care *care,
                char why[IMAGE_WHY])
{
    *image = (struct image){.thorough = care->thorough};
    if (!maps_read(&image->maps, source) || image->maps.count == 0) {
        snprintf(why, IMAGE_WHY, "cannot read the mappings of process %d: %s", (int)target,
                 errno ? strerror(errno) : "it has ended");
        return false;
    }
    if (care->thorough && source != target) drop_shared(&image->maps); /* unforked has it */
    return copy_mappings(image, source, target, care->scratch, why);
}

/* ---- a running process ---------------------------------------------------------------------- */

bool image_open_running(struct image *image, pid_t pid, const struct memory *memory,
                        char why[IMAGE_WHY])
{
    *image = (struct image){.memory = memory};
    snprintf(why, IMAGE_WHY, "cannot read the mappings of process %d", (int)pid);
    if (!maps_read(&image->maps, pid) || !plan_segments(image) || !scan_segments(image, pid, pid))
        return false;
    if (!reserve_copy(image, NULL, why)) return false;
    void *bits = mmap(NULL, image->copy_size / IMAGE_AT_ONCE / 8 + 8, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    image->read = bits == MAP_FAILED ? NULL : bits;
    return image->read != NULL;
}

/* One unit of the copy, as far as it is there; the rest stays zero. */
static void read_unit(const struct image *image, const struct segment *s, uint64_t unit)
{
    uint64_t place = (uint64_t)(s->bytes - image->copy), at = unit * IMAGE_AT_ONCE;
    uint64_t start = at > place ? s->start + (at - place) : s->start;
    uint64_t end = s->start + (at + IMAGE_AT_ONCE - place);
    if (end > s->end) end = s->end;
    for (uint64_t from = start, to = end; image_present(image, &from, &to); from = to, to = end) {
        unsigned char *bytes = (unsigned char *)s->bytes + (from - s->start);
        struct piece piece = {from, to - from, bytes};
        if (!memory_read(image->memory, from, bytes, to - from)) copy_pages(image->memory, &piece);
    }
}

void image_need(const struct image *image, uint64_t address, uint64_t size)
{
    const struct segment *s = image_segment(image, address);
    uint64_t at = (uint64_t)(s->bytes - image->copy) + (address - s->start);
    uint64_t last = (at + (size ? size - 1 : 0)) / IMAGE_AT_ONCE;
    for (uint64_t unit = at / IMAGE_AT_ONCE; unit <= last; unit++) {
        uint64_t bit = 1ull << unit % 64;
        if (image->read[unit / 64] & bit) continue;
        read_unit(image, s, unit);
        image->read[unit / 64] |= bit;
    }
}

uint64_t image_read_bytes(const struct image *image)
{
    uint64_t units = 0;
    for (uint64_t i = 0; i <= image->copy_size / IMAGE_AT_ONCE / 64; i++)
        units += (uint64_t)__builtin_popcountll(image->read[i]);
    return units * IMAGE_AT_ONCE;
}

/* ---- what a fork leaves out ----------------------------------------------------------------- */

/* Keeps the mappings that do not begin in `known`, and shared ones if they are wanted; both ascend. */
static void keep_unknown(struct maps *maps, const struct maps *known, bool shared)
{
    size_t kept = 0, k = 0;
    for (size_t i = 0; i < maps->count; i++) {
        while (k < known->count && known->list[k].end <= maps->list[i].start) k++;
        bool unknown = k == known->count || known->list[k].start > maps->list[i].start;
        if (unknown || (shared && maps->list[i].shared)) maps->list[kept++] = maps->list[i];
    }
    maps->count = kept;
}

/* Pages of addresses; 0: not known. */
static uint64_t size_of(pid_t pid)
{
    char path[64];
    int64_t pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    return file_number(path, &pages) && pages > 0 ? (uint64_t)pages : 0;
}

/* The mappings are compared only if something is missing: of 60,000 that takes 100 ms, and all stand. */
bool image_copy_unforked(struct image *image, pid_t child, pid_t target, bool thorough,
                         char why[IMAGE_WHY])
{
    struct maps known = {0};
    uint64_t size = thorough ? 0 : size_of(child);
    *image = (struct image){.thorough = thorough};
    if (size != 0 && size == size_of(target)) return true;
    bool read = maps_read(&image->maps, target) && maps_read(&known, child);
    if (read) keep_unknown(&image->maps, &known, thorough);
    maps_finish(&known);
    snprintf(why, IMAGE_WHY, "cannot read the mappings of process %d", (int)target);
    return read && (image->maps.count == 0 || copy_mappings(image, target, target, NULL, why));
}
