/* What holds an address: for the program, and for the last line before abort. */
#include "base/format.h"
#include "face/face.h"
#include "gc/gc.h"
#include "os/os.h"

static enum fh_kind describe_range(const char *start, size_t size, const char *p, enum fh_kind kind,
                                   struct fh_description *d)
{
    d->start = start;
    d->size = size;
    d->offset = (size_t)(p - start);
    return kind;
}

static enum fh_kind describe_gc(const char *p, struct fh_description *d)
{
    bool live = gc_describe(p, &d->start, &d->size);
    d->offset = (size_t)(p - (const char *)d->start);
    return live ? FH_GC_OBJECT : FH_GC_SPACE;
}

static enum fh_kind describe_span(const char *p, struct fh_description *d)
{
    struct span *span = span_find(p);
    if (span == NULL) {
        const char *start = (const char *)base_round_down((size_t)p, SLICE_SIZE);
        return describe_range(start, SLICE_SIZE, p, FH_RESERVED, d);
    }
    size_t length = (size_t)LOAD(&span->slices) << SLICE_SHIFT;
    switch (LOAD_ACQUIRE(&span->kind)) {
    case FH_SPAN_GC_BLOCK:
    case FH_SPAN_GC_LARGE: return describe_gc(p, d);
    default:
        if (policy_describe(span, p, d)) return d->kind;
        return describe_range(span_start(span), length, p, FH_SPAN, d);
    }
}

PUBLIC enum fh_kind fh_describe(const void *p, struct fh_description *d)
{
    *d = (struct fh_description){.kind = FH_FOREIGN};
    if (!arena_holds(p)) {
        policy_describe(NULL, p, d);
        return d->kind;
    }
    size_t meta = (size_t)arena.first << SLICE_SHIFT;
    if ((uintptr_t)p - arena.base < meta)
        d->kind = describe_range((const char *)arena.base, meta, p, FH_METADATA, d);
    else
        d->kind = describe_span(p, d);
    return d->kind;
}

/* ---- as a sentence ----------------------------------------------------------------------------- */

static bool parse_hex(const char **at, const char *end, uintptr_t *value)
{
    const char *start = *at;
    for (*value = 0; *at < end; ++*at) {
        char c = **at;
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                                                : 16;
        if (digit == 16) break;
        *value = *value << 4 | digit;
    }
    return *at > start;
}

/* A line of /proc/self/maps: "start-end perms offset dev inode   name". */
static bool maps_line_holds(const char *line, const char *end, uintptr_t p, const char **name)
{
    uintptr_t from, to;
    if (!parse_hex(&line, end, &from) || line >= end || *line++ != '-') return false;
    if (!parse_hex(&line, end, &to) || p < from || p >= to) return false;
    for (int field = 0; field < 5; field++) {
        while (line < end && *line == ' ') line++;
        if (field == 4) break;
        while (line < end && *line != ' ') line++;
    }
    *name = line;
    return true;
}

bool face_maps_path(const char *line, const char *end, uintptr_t p, char *path, size_t capacity)
{
    const char *name;
    if (!maps_line_holds(line, end, p, &name)) return false;
    while (name < end && *name == ' ') name++;
    if (name == end || (size_t)(end - name) >= capacity) return false;
    struct text t = {path, 0, capacity};
    text_strn(&t, name, (size_t)(end - name));
    text_end(&t);
    return true;
}

/* Finds the mapping that holds p with a small buffer: lines that do not fit are passed over. */
static void describe_foreign(uintptr_t p, struct text *t)
{
    char buffer[512];
    size_t have = 0;
    int fd = os_file_open("/proc/self/maps");
    for (long n; fd >= 0 && (n = os_file_read(fd, buffer + have, sizeof buffer - have)) > 0;) {
        have += (size_t)n;
        size_t start = 0;
        for (size_t i = 0; i < have; i++) {
            if (buffer[i] != '\n') continue;
            const char *name, *end = buffer + i;
            if (maps_line_holds(buffer + start, end, p, &name)) {
                text_str(t, name < end ? "memory of " : "anonymous memory");
                text_strn(t, name, (size_t)(end - name));
                text_str(t, ", not a block of freehold");
                os_file_close(fd);
                return;
            }
            start = i + 1;
        }
        have = start == 0 && have == sizeof buffer ? 0 : have - start;
        for (size_t i = 0; i < have; i++) buffer[i] = buffer[start + i];
    }
    if (fd >= 0) os_file_close(fd);
    text_str(t, fd >= 0
                    ? "not mapped: no memory is there"
                    : "not a block of freehold; /proc/self/maps, which could say more, cannot be "
                      "opened");
}

static void describe_offset(const struct fh_description *d, const char *what, struct text *t)
{
    if (d->offset) {
        text_dec(t, d->offset);
        text_str(t, d->offset == 1 ? " byte into " : " bytes into ");
    }
    text_str(t, what);
    text_dec(t, d->size);
    text_str(t, " bytes at ");
    text_hex(t, (uintptr_t)d->start);
}

static void describe_owner(const struct fh_description *d, struct text *t)
{
    if (d->heap == 0) return;
    text_str(t, ", heap ");
    text_dec(t, d->heap);
    text_str(t, " of thread ");
    text_dec(t, d->thread);
}

static void describe_into(const void *p, struct text *t)
{
    struct fh_description d;
    switch (fh_describe(p, &d)) {
    case FH_FOREIGN: describe_foreign((uintptr_t)p, t); return;
    case FH_RESERVED: text_str(t, "reserved by freehold and not in use"); return;
    case FH_METADATA: text_str(t, "freehold's own records"); return;
    case FH_BLOCK: describe_offset(&d, "a live block of ", t); break;
    case FH_BLOCK_FREE: describe_offset(&d, "a free block of ", t); break;
    case FH_LARGE: describe_offset(&d, "a live large block of ", t); break;
    case FH_SLACK: describe_offset(&d, "unused space of ", t); break;
    case FH_SPAN: describe_offset(&d, "free memory of ", t); break;
    case FH_GC_OBJECT: describe_offset(&d, "an object of the collector of ", t); break;
    case FH_GC_SPACE: describe_offset(&d, "free space of the collector, in a block of ", t); break;
    }
    describe_owner(&d, t);
}

PUBLIC size_t fh_describe_text(const void *p, char *text, size_t capacity)
{
    if (capacity == 0) return 0;
    struct text t = {text, 0, capacity - 1};
    describe_into(p, &t);
    text[t.length] = 0;
    return t.length;
}

/* The line is "freehold: CALL: what p is; what follows". */
static void bad_call(const char *call, size_t length, const void *p)
{
    bool ignore = __atomic_load_n(&options.bad_free, __ATOMIC_RELAXED);
    char line[512];
    struct text t = TEXT(line);
    text_str(&t, "freehold: ");
    text_strn(&t, call, length);
    text_str(&t, "): ");
    describe_into(p, &t);
    text_str(&t, ignore ? "; ignored\n" : "; stopping (option bad_free=ignore goes on)\n");
    os_write(2, line, t.length);
    if (!ignore) base_abort();
}

static void call_begin(struct text *t, const char *caller, const void *p)
{
    face_start(); /* the options may not have been read yet */
    text_str(t, caller);
    text_char(t, '(');
    text_hex(t, (uintptr_t)p);
}

void face_bad_pointer(const char *caller, const void *p)
{
    char call[64];
    struct text t = TEXT(call);
    call_begin(&t, caller, p);
    bad_call(call, t.length, p);
}

void face_bad_size(const void *p, size_t size)
{
    char call[64];
    struct text t = TEXT(call);
    call_begin(&t, "free", p);
    text_str(&t, ", size ");
    text_dec(&t, size);
    bad_call(call, t.length, p);
}

void face_bad_alignment(const void *p, size_t alignment)
{
    char call[64];
    struct text t = TEXT(call);
    call_begin(&t, "free", p);
    text_str(&t, ", alignment ");
    text_dec(&t, alignment);
    bad_call(call, t.length, p);
}
