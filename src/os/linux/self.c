/* os/self.h on Linux. */
#include "os/self.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/format.h"
#include "base/syscall.h"
#include "os/linux/pagemap.h"

/* Forgotten first: in the child of a fork just then, the number may be another file's. */
static void self_close(int *fd)
{
    int number = *fd;
    *fd = -1;
    if (number >= 0) SYS1(SYS_close, number);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static long read_by_call(const struct os_self *self, void *to, uintptr_t from, size_t size)
{
    struct iovec local = {to, size}, remote = {(void *)from, size};
    return SYS6(SYS_process_vm_readv, self->process, &local, 1, &remote, 1, 0);
}

bool os_self_open(struct os_self *self)
{
    char probe = 0;
    *self = (struct os_self){.memory = -1, .pagemap = -1, .process = os_process_id()};
    self->reads_by_call = read_by_call(self, &probe, (uintptr_t)self, 1) == 1;
    /* "thread-self", since that of the process has no memory any more when its first thread has ended. */
    if (!self->reads_by_call) self->memory = os_file_open("/proc/thread-self/mem");
    if (!self->reads_by_call && self->memory < 0) return false;
    self->pagemap = os_file_open("/proc/thread-self/pagemap");
    uintptr_t from = base_round_down((uintptr_t)&probe, os_page_size());
    struct os_range range;
    self->tells_resident = true;
    self->tells_resident =
        os_self_resident(self, &from, from + os_page_size(), false, false, &range, 1) == 1;
    return true;
}

void os_self_close(struct os_self *self)
{
    self_close(&self->memory);
    self_close(&self->pagemap);
}

size_t os_self_read(const struct os_self *self, void *to, uintptr_t from, size_t size)
{
    size_t have = 0;
    while (have < size) {
        char *at = (char *)to + have;
        long n = self->reads_by_call
                     ? read_by_call(self, at, from + have, size - have)
                     : SYS4(SYS_pread64, self->memory, at, size - have, from + have);
        if (n <= 0) break;
        have += (size_t)n;
    }
    return have;
}

/* Of a file's private mapping only pages that the process has made its own. */
static long resident_scan(const struct os_self *self, uintptr_t *from, uintptr_t end, bool shared,
                          struct page_region *region, size_t most)
{
    uint64_t not = PAGE_NOTHING | (shared ? 0 : PAGE_FILE);
    struct scan scan = {.category_inverted = not,
                        .category_mask = not,
                        .category_any = PAGE_PRESENT | PAGE_SWAPPED,
                        .return_mask = PAGE_PRESENT | PAGE_SWAPPED};
    return pagemap_scan(self->pagemap, from, end, region, most, scan);
}

size_t os_self_resident(const struct os_self *self, uintptr_t *from, uintptr_t end, bool shared,
                        bool else_all, struct os_range *ranges, size_t most)
{
    struct page_region region[64] = {{0}};
    uintptr_t page = os_page_size(), whole_end = base_round_up(end, page);
    while (self->tells_resident && *from < end) {
        uintptr_t start = *from, at = base_round_down(start, page);
        long count = resident_scan(self, &at, whole_end, shared, region, base_min(most, 64));
        if (count < 0 || at <= start) break;
        *from = at;
        for (long i = 0; i < count; i++)
            ranges[i] =
                (struct os_range){base_max(region[i].start, start), base_min(region[i].end, end)};
        if (count > 0) return (size_t)count;
    }
    if (*from >= end || !else_all) return 0;
    ranges[0] = (struct os_range){*from, end};
    *from = end;
    return 1;
}

/* ---- mappings -------------------------------------------------------------------------------- */

bool os_mappings_open(struct os_mappings *mappings, char *buffer, size_t size)
{
    *mappings = (struct os_mappings){.buffer = buffer, .room = size};
    mappings->fd = os_file_open("/proc/thread-self/maps");
    return mappings->fd >= 0;
}

void os_mappings_close(struct os_mappings *mappings)
{
    self_close(&mappings->fd);
}

/* The next line, without its end; NULL at the end. Cuts lines that do not fit. */
static const char *line_next(struct os_mappings *m, const char **end)
{
    for (size_t i = m->at;;) {
        for (; i < m->have; i++) {
            if (m->buffer[i] != '\n') continue;
            const char *line = m->buffer + m->at;
            *end = m->buffer + i;
            m->at = i + 1;
            return line;
        }
        for (size_t k = m->at; k < m->have; k++) m->buffer[k - m->at] = m->buffer[k];
        m->have -= m->at;
        i = m->have;
        m->at = 0;
        if (m->have == m->room) return NULL; /* no line of the kernel's is that long */
        long n = os_file_read(m->fd, m->buffer + m->have, m->room - m->have);
        if (n <= 0) return NULL;
        m->have += (size_t)n;
    }
}

static uintptr_t hex_take(const char **at, const char *end)
{
    uintptr_t n = 0;
    for (; *at < end; ++*at) {
        unsigned c = (unsigned char)**at, digit = c - '0' < 10 ? c - '0' : c - 'a' + 10;
        if (c - '0' >= 10 && c - 'a' >= 6) break;
        n = n << 4 | digit;
    }
    return n;
}

static bool name_is(const char *at, const char *end, const char *prefix)
{
    while (*prefix && at < end && *at == *prefix) at++, prefix++;
    return *prefix == 0;
}

static enum os_mapping_kind kind_by_name(const char *at, const char *end)
{
    if (name_is(at, end, "[stack")) return OS_MAPPING_STACK;
    if (name_is(at, end, "/dev/shm/") || name_is(at, end, "/dev/zero")) return OS_MAPPING_FILE;
    if (name_is(at, end, "/dev/") || name_is(at, end, "[v")) return OS_MAPPING_DEVICE;
    return at < end && *at == '/' ? OS_MAPPING_FILE : OS_MAPPING_ANONYMOUS;
}

/* "start-end perms offset device inode    name" */
bool os_mappings_next(struct os_mappings *mappings, struct os_mapping *mapping)
{
    const char *end, *at = line_next(mappings, &end);
    if (at == NULL) return false;
    *mapping = (struct os_mapping){.start = hex_take(&at, end)};
    at++;
    mapping->end = hex_take(&at, end);
    at++;
    if (end - at < 4) return false;
    mapping->readable = at[0] == 'r';
    mapping->writable = at[1] == 'w';
    mapping->shared = at[3] == 's';
    mapping->after_guard = mappings->guard_end == mapping->start;
    if (!mapping->readable && !mapping->writable) mappings->guard_end = mapping->end;
    for (int blanks = 0; blanks < 4 && at < end; at++)
        if (*at == ' ') blanks++;
    while (at < end && *at == ' ') at++;
    mapping->kind = kind_by_name(at, end);
    return true;
}

/* ---- threads --------------------------------------------------------------------------------- */

struct self_entry {
    uint64_t inode, offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

static void entries_visit(const char *buffer, long size, void (*visit)(uint32_t))
{
    for (long at = 0; at < size;) {
        const struct self_entry *entry = (const struct self_entry *)(buffer + at);
        uint32_t thread = 0;
        for (const char *c = entry->name; *c >= '0' && *c <= '9'; c++)
            thread = thread * 10 + (uint32_t)(*c - '0');
        if (thread > 0) visit(thread);
        at += entry->size;
    }
}

bool os_threads_each(char *buffer, size_t size, void (*visit)(uint32_t thread))
{
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    int fd = (int)SYS4(SYS_openat, AT_FDCWD, "/proc/self/task", flags, 0);
    if (fd < 0) return false;
    long n;
    while ((n = SYS3(SYS_getdents64, fd, buffer, size)) > 0) entries_visit(buffer, n, visit);
    self_close(&fd);
    return n == 0;
}

/* What a file of a thread's holds; its length, or -1. */
static long thread_file(uint32_t thread, const char *name, char *text, size_t size)
{
    char path[64];
    struct text t = TEXT(path);
    text_str(&t, "/proc/self/task/");
    text_dec(&t, thread);
    text_char(&t, '/');
    text_str(&t, name);
    text_end(&t);
    int fd = os_file_open(path);
    if (fd < 0) return -1;
    long n = os_file_read(fd, text, size);
    self_close(&fd);
    return n;
}

/* "running", "-1 stack-pointer ip", or "number six-arguments stack-pointer ip". */
enum os_thread_state os_thread_look(uint32_t thread, uintptr_t *stack_pointer)
{
    char text[256];
    *stack_pointer = 0;
    long n = thread_file(thread, "syscall", text, sizeof text);
    if (n <= 0) {
        n = thread_file(thread, "stat", text, sizeof text);
        return n <= 0 ? OS_THREAD_GONE : OS_THREAD_SLEEPS;
    }
    const char *at = text, *end = text + n, *last = text, *before = text;
    if (*at == 'r') return OS_THREAD_RUNS;
    for (; at < end; at++) {
        if (*at != ' ') continue;
        before = last;
        last = at + 1;
    }
    if (end - before > 2 && before > text && before[1] == 'x') {
        before += 2;
        *stack_pointer = hex_take(&before, end);
    }
    return OS_THREAD_SLEEPS;
}

static uint64_t last_number(const char *text, long n)
{
    uint64_t value = 0;
    for (long i = 0; i < n && text[i] != '\n'; i++)
        value = text[i] < '0' || text[i] > '9' ? 0 : value * 10 + (uint64_t)(text[i] - '0');
    return value;
}

/* Behind a name at the beginning of a line; NULL if there is none. */
static const char *line_find(const char *text, long n, const char *name)
{
    for (long i = 0; i < n; i++) {
        if (i > 0 && text[i - 1] != '\n') continue;
        if (!name_is(text + i, text + n, name)) continue;
        while (i < n && text[i] != '\t') i++;
        return i < n ? text + i + 1 : NULL;
    }
    return NULL;
}

/* "time-run time-waited turns"; older or other kernels tell how often it went to sleep. */
uint64_t os_thread_turns(uint32_t thread)
{
    char text[2048];
    long n = thread_file(thread, "schedstat", text, sizeof text);
    if (n > 0 && last_number(text, n) > 0) return last_number(text, n);
    n = thread_file(thread, "status", text, sizeof text);
    const char *at = line_find(text, n, "voluntary_ctxt_switches:");
    return at ? last_number(at, n - (at - text)) : 0;
}

bool os_thread_blocks(uint32_t thread, int signal)
{
    char text[2048];
    long n = thread_file(thread, "status", text, sizeof text);
    const char *at = line_find(text, n, "SigBlk:");
    return at && (hex_take(&at, text + n) >> (signal - 1) & 1);
}

bool os_thread_timers_are_polite(void)
{
    struct utsname name;
    unsigned part[2] = {0};
    if (SYS1(SYS_uname, &name) != 0) return false;
    const char *c = name.release;
    for (int i = 0; i < 2; i++, c++)
        for (; *c >= '0' && *c <= '9'; c++) part[i] = part[i] * 10 + (unsigned)(*c - '0');
    return part[0] > 5 || (part[0] == 5 && part[1] >= 10);
}

/* As the kernel has it: sigval, number, how, and whom. */
struct self_event {
    void *value;
    int signal, notify, thread;
    int rest[11];
};
static_assert(sizeof(struct self_event) == 64, "struct sigevent of the kernel");

int os_thread_ring(uint32_t thread, int signal, void *value)
{
    enum { PER_THREAD = 4, TIME_RUN = 2, TO_THREAD = 4 };
    clockid_t clock = (clockid_t)(~thread << 3 | PER_THREAD | TIME_RUN);
    struct self_event event = {value, signal, TO_THREAD, (int)thread, {0}};
    struct itimerspec soon = {.it_value = {.tv_nsec = 1}};
    int timer = -1;
    long result = SYS3(SYS_timer_create, clock, &event, &timer);
    if (base_syscall_failed(result)) return -1;
    if (!base_syscall_failed(SYS4(SYS_timer_settime, timer, 0, &soon, NULL))) return timer;
    os_thread_ring_end(timer);
    return -1;
}

void os_thread_ring_end(int timer)
{
    SYS1(SYS_timer_delete, timer);
}
