/*
 *   corpus list      the table, separated by tabs: case, kind, title, the attacker's goal
 *   corpus where     the file that malloc comes from
 *   corpus CASE      one case
 *
 * On stdout: `GOAL what` the moment it is reached, then DONE (PASS, if it is a legal case), or instead
 * MISSING, REFUSED or BROKEN with the reason, and status 77, 76 or 1. No stdio: its buffer is a block, and
 * what is written must not wait in it.
 */
#include "corpus.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

struct crowd crowd, others;

static struct {
    const char *id; // the function's name
    enum kind kind;
    void (*run)(void);
    const char *title, *goal;
} const cases[] = {
#define CASE(id, kind, title, goal) {#id, kind, id, title, goal},
#include "cases.def"
#undef CASE
};

static const char *const kinds[] = {"exploit", "hygiene", "legal"};

// --- what a case says ----------------------------------------------------------------------------

static void say(const char *word, const char *format, va_list list)
{
    char line[256];
    int length = snprintf(line, sizeof line, "%s ", word);
    length += vsnprintf(line + length, sizeof line - (size_t)length - 1, format, list);
    if (length > (int)sizeof line - 2) length = sizeof line - 2;
    line[length] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)length + 1) < 0) _exit(75);
}

static void say_plain(const char *word, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say(word, format, list);
    va_end(list);
}

static bool reached;

void goal(const char *format, ...)
{
    if (reached) return;
    reached = true;
    va_list list;
    va_start(list, format);
    say("GOAL", format, list);
    va_end(list);
}

bool goal_reached(void)
{
    return reached;
}

void missing(const char *what)
{
    say_plain("MISSING", "%s", what);
    _exit(77);
}

void refused(const char *what)
{
    say_plain("REFUSED", "%s", what);
    _exit(76);
}

void broken(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say("BROKEN", format, list);
    va_end(list);
    _exit(1);
}

void settle(void)
{
    static void *held[256];
    for (unsigned round = 0; round < 8192; round++) {
        unsigned slot = dice(256);
        drop(held[slot]);
        size_t size = (size_t)1 << (4 + dice(9));
        held[slot] = take(size + dice((uint32_t)size));
        *(volatile byte *)held[slot] = 1;
    }
    for (unsigned i = 0; i < 256; i++) {
        drop(held[i]);
        held[i] = NULL;
    }
    for (unsigned i = 0; i < 8; i++) drop(take((size_t)200000 << i));
}

// --- memory --------------------------------------------------------------------------------------

void fill(void *to, int value, size_t size)
{
    for (volatile byte *at = to; size--; at++) *at = (byte)value;
}

bool filled_with(const void *at, int value, size_t size)
{
    for (const volatile byte *look = at; size--; look++)
        if (*look != (byte)value) return false;
    return true;
}

bool find_word(const void *in, size_t size, uint64_t word)
{
    const volatile uint64_t *at = in;
    for (size_t i = 0; i < size / sizeof word; i++)
        if (at[i] == word) return true;
    return false;
}

void fill_words(void *to, uint64_t word, size_t size)
{
    volatile uint64_t *at = to;
    for (size_t i = 0; i < size / sizeof word; i++) at[i] = word;
}

static size_t read_maps(char *text, size_t room)
{
    size_t length = 0;
    ssize_t got = 1;
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (file < 0) refused("/proc/self/maps");
    while (got > 0 && length < room - 1) {
        got = read(file, text + length, room - 1 - length);
        if (got > 0) length += (size_t)got;
    }
    close(file);
    text[length] = '\0';
    return length;
}

// The mapping that holds the address; 0 if none does. readable: may it be read?
static uintptr_t mapping_of(uintptr_t address, bool *readable)
{
    static char text[1 << 20];
    read_maps(text, sizeof text);
    for (char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        char *rest;
        uintptr_t low = strtoull(line, &rest, 16), high = strtoull(rest + 1, &rest, 16);
        *readable = rest[1] == 'r';
        if (low <= address && address < high) return low;
    }
    return 0;
}

bool points_somewhere(uint64_t word)
{
    bool readable;
    return word >= 1 << 16 && mapping_of(word, &readable) && readable;
}

uintptr_t mapping_start(const void *address)
{
    bool readable;
    return mapping_of((uintptr_t)address, &readable);
}

void *other_memory(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) refused("mmap");
    return at;
}

// --- many blocks ---------------------------------------------------------------------------------

// Shell's: the C library's qsort may allocate.
void crowd_sort(struct crowd *all)
{
    for (size_t gap = all->count / 2; gap; gap /= 2)
        for (size_t i = gap; i < all->count; i++) {
            void *block = all->at[i];
            size_t to = i;
            for (; to >= gap && (uintptr_t)all->at[to - gap] > (uintptr_t)block; to -= gap)
                all->at[to] = all->at[to - gap];
            all->at[to] = block;
        }
}

void crowd_drop(struct crowd *all)
{
    while (all->count) {
        void *block = all->at[--all->count];
        all->at[all->count] = NULL;
        drop(block);
    }
}

void crowd_thin(struct crowd *all)
{
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++) {
        void *block = all->at[i];
        all->at[i] = NULL;
        if (i % 2)
            all->at[kept++] = block;
        else
            drop(block);
    }
    all->count = kept;
}

void *crowd_pull(struct crowd *all, size_t index)
{
    void *block = all->at[index];
    all->at[index] = all->at[--all->count];
    all->at[all->count] = NULL;
    return block;
}

bool crowd_over(const struct crowd *all, size_t size, const void *at, size_t at_size)
{
    for (size_t i = 0; i < all->count; i++)
        if (overlap(all->at[i], size, at, at_size)) return true;
    return false;
}

bool crowd_collides(const struct crowd *all, size_t size)
{
    size_t last = size / sizeof(size_t) - 1;
    for (size_t i = 0; i < all->count; i++)
        ((volatile size_t *)all->at[i])[0] = ((volatile size_t *)all->at[i])[last] = i;
    for (size_t i = 0; i < all->count; i++)
        if (((volatile size_t *)all->at[i])[0] != i || ((volatile size_t *)all->at[i])[last] != i)
            return true;
    return false;
}

// --- threads -------------------------------------------------------------------------------------

void in_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, argument)) refused("pthread_create");
    pthread_join(thread, NULL);
}

uint32_t dice(uint32_t below)
{
    static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((state >> 32) * below >> 32);
}

// --- one case ------------------------------------------------------------------------------------

static int list(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        dprintf(STDOUT_FILENO, "%s\t%s\t%s\t%s\n", cases[i].id, kinds[cases[i].kind],
                cases[i].title, cases[i].goal);
    return 0;
}

static int where(void)
{
    Dl_info info;
    if (!dladdr((void *)malloc, &info)) return 1;
    dprintf(STDOUT_FILENO, "%s\n", info.dli_fname);
    return 0;
}

int main(int count, char **arguments)
{
    if (count == 2 && !strcmp(arguments[1], "list")) return list();
    if (count == 2 && !strcmp(arguments[1], "where")) return where();
    if (count == 3 && !strcmp(arguments[1], "look")) corpus_look(strtoul(arguments[2], NULL, 10));
    for (size_t i = 0; count == 2 && i < sizeof cases / sizeof cases[0]; i++)
        if (!strcmp(arguments[1], cases[i].id)) {
            cases[i].run();
            settle();
            say_plain(cases[i].kind == LEGAL ? "PASS" : "DONE", "%s", cases[i].id);
            return 0;
        }
    dprintf(STDERR_FILENO, "usage: corpus list | where | CASE\n");
    return 2;
}
