/*
 * Copying the memory of a process that stands still.
 *
 * /proc/PID/pagemap says which pages are there, so that holes are neither read nor filled. The copy is one
 * reserved stretch for all segments, since a process may have more mappings than this one could make.
 * Two threads copy, a piece at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "file.h"
#include "human.h"
#include "image.h"

#define PAGE_PRESENT (1ull << 63)
#define PAGE_SWAPPED (1ull << 62)
#define PAGE_SHARED (1ull << 61) /* of a file, or of shared memory */

enum { PAGES_AT_ONCE = 1 << 14, PIECE = 8 << 20, HUGE = 2 << 20, COPIERS = 2 };

/* ---- what to copy --------------------------------------------------------------------------- */

static bool is_memory_file(const struct mapping *m)
{
    static const char *const kinds[] = {"/dev/shm/", "/memfd:", "/dev/zero", "/SYSV"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strncmp(m->path, kinds[i], strlen(kinds[i])) == 0) return true;
    }
    return false;
}

/* Devices may do something when they are read; [vvar] and the like belong to the kernel. */
static bool is_wanted(const struct mapping *m)
{
    if (!m->readable || (m->path[0] == '[' && strncmp(m->path, "[v", 2) == 0)) return false;
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
        if (!is_wanted(m)) continue;
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

struct pagemap {
    int fd; /* -1: everything is taken to be there */
    uint64_t page_size;
    uint64_t *entries;
};

static struct pagemap pagemap_open(pid_t pid)
{
    char path[64];
    struct pagemap p = {.page_size = (uint64_t)sysconf(_SC_PAGESIZE)};
    snprintf(path, sizeof path, "/proc/%d/pagemap", (int)pid);
    p.fd = open(path, O_RDONLY | O_CLOEXEC);
    p.entries = malloc(PAGES_AT_ONCE * sizeof *p.entries);
    return p;
}

static void pagemap_close(struct pagemap *p)
{
    if (p->fd >= 0) close(p->fd);
    free(p->entries);
}

static bool is_there(uint64_t entry, bool shared)
{
    if (!(entry & (PAGE_PRESENT | PAGE_SWAPPED))) return false;
    return shared || !(entry & PAGE_SHARED);
}

static bool scan_pages(struct image *image, struct segment *s, const struct pagemap *p)
{
    for (uint64_t at = s->start; at < s->end;) {
        uint64_t pages = (s->end - at) / p->page_size;
        if (pages > PAGES_AT_ONCE) pages = PAGES_AT_ONCE;
        ssize_t n = pread(p->fd, p->entries, pages * 8, (off_t)(at / p->page_size * 8));
        if (n <= 0) return image_add_run(image, s, at, s->end);
        for (size_t i = 0; i < (size_t)n / 8; i++, at += p->page_size) {
            if (is_there(p->entries[i], s->shared) &&
                !image_add_run(image, s, at, at + p->page_size))
                return false;
        }
    }
    return true;
}

static bool scan_segments(struct image *image, pid_t source, pid_t target)
{
    struct pagemap own = pagemap_open(source), shared = pagemap_open(target);
    bool done = own.entries && shared.entries;
    for (size_t i = 0; done && i < image->segment_count; i++) {
        struct segment *s = &image->segments[i];
        const struct pagemap *p = s->shared ? &shared : &own;
        done = p->fd < 0 ? image_add_run(image, s, s->start, s->end) : scan_pages(image, s, p);
    }
    pagemap_close(&own);
    pagemap_close(&shared);
    return done;
}

/* ---- where to ------------------------------------------------------------------------------- */

static uint64_t available_memory(void)
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
    uint64_t available = available_memory();
    if (image->present < available - available / 8) return true;
    snprintf(
        why, IMAGE_WHY,
        "%s must be copied and only %s of memory are available: use --scratch DIR with a folder on "
        "a disk, or take a core file and look into that",
        HUMAN(bytes, image->present), HUMAN(bytes, available));
    return false;
}

static int scratch_open(const char *folder, uint64_t size)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0) return fd;
    int error = errno;
    if (fd >= 0) close(fd);
    errno = error;
    return -1;
}

/* Each segment lies as its addresses lie to huge pages, so that a copy can have them too. */
static uint64_t place(const struct segment *s, uint64_t at)
{
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
        fd = scratch_open(scratch, size);
        flags = MAP_SHARED | MAP_NORESERVE;
    }
    void *copy =
        scratch && fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (copy == MAP_FAILED)
        snprintf(why, IMAGE_WHY, "cannot reserve %s for a copy of its memory%s%s: %s",
                 HUMAN(bytes, size), scratch ? " in " : "", scratch ? scratch : "",
                 strerror(errno));
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

bool image_copy(struct image *image, pid_t source, pid_t target, const char *scratch,
                char why[IMAGE_WHY])
{
    *image = (struct image){0};
    if (!maps_read(&image->maps, source) || image->maps.count == 0) {
        snprintf(why, IMAGE_WHY, "cannot read the mappings of process %d: %s", (int)target,
                 errno ? strerror(errno) : "it has ended");
        return false;
    }
    return copy_mappings(image, source, target, scratch, why);
}

/* ---- what a fork leaves out ----------------------------------------------------------------- */

/* Keeps the mappings that do not begin in `known`; both ascend. */
static void keep_unknown(struct maps *maps, const struct maps *known)
{
    size_t kept = 0, k = 0;
    for (size_t i = 0; i < maps->count; i++) {
        while (k < known->count && known->list[k].end <= maps->list[i].start) k++;
        if (k == known->count || known->list[k].start > maps->list[i].start)
            maps->list[kept++] = maps->list[i];
    }
    maps->count = kept;
}

bool image_copy_unforked(struct image *image, pid_t child, pid_t target, char why[IMAGE_WHY])
{
    struct maps known = {0};
    *image = (struct image){0};
    bool read = maps_read(&image->maps, target) && maps_read(&known, child);
    if (read) keep_unknown(&image->maps, &known);
    maps_finish(&known);
    snprintf(why, IMAGE_WHY, "cannot read the mappings of process %d", (int)target);
    return read && (image->maps.count == 0 || copy_mappings(image, target, target, NULL, why));
}
