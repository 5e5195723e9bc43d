/*
 * L: legal programs that look like misuse. Each must run to its end under every allocator at every level.
 */
#include "corpus.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

enum { MIB = 1 << 20 };

static void check_pattern(const byte *block, size_t size)
{
    for (size_t i = 0; i < size; i++) MUST(block[i] == (byte)(i * 7 + i / 256));
}

static void write_pattern(byte *block, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) block[i] = (byte)(i * 7 + i / 256);
}

void L01(void)
{
    byte *block = NULL;
    size_t size = 0;
    for (unsigned round = 0; round < 400; round++) {
        size_t wanted = round % 3 == 2 ? size / 2 + 1 : size + 1 + size / 4;
        block = resize(block, wanted);
        MUST(block);
        check_pattern(block, size < wanted ? size : wanted);
        write_pattern(block, size < wanted ? size : wanted, wanted);
        size = wanted;
    }
    drop(block);
}

void L02(void)
{
    for (size_t alignment = 16; alignment <= MIB; alignment *= 2) {
        byte *block = take_aligned(alignment, 3 * alignment + 5);
        MUST((uintptr_t)block % alignment == 0);
        // All of it, from its first byte to its last, by pointers into it.
        byte *inside = block + alignment;
        write_pattern(block, 0, 3 * alignment + 5);
        MUST(inside[1] == block[alignment + 1]);
        check_pattern(block, 3 * alignment + 5);
        drop(inside - alignment);
    }
}

void L03(void)
{
    for (size_t size = 0; size < 70000; size = size * 5 / 4 + 3) {
        byte *block = OPAQUE(malloc(size));
        size_t room = usable(block);
        MUST(room >= size || !block);
        write_pattern(block, 0, room);
        byte *other = take(size + 1);
        fill(other, 0x5a, usable(other));
        check_pattern(block, room);
        drop(block);
        drop(other);
    }
}

static void *free_it(void *block)
{
    drop(block);
    return NULL;
}

void L04(void)
{
    static const size_t sizes[] = {1, 16, 100, 2000, 20000, 100000, 3 * MIB};
    for (unsigned round = 0; round < 20; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            in_thread(free_it, take(sizes[i]));
}

static void *at_end;

static __attribute__((destructor)) void free_at_end(void)
{
    drop(at_end);
    at_end = NULL;
}

static void free_at_exit(void)
{
    static byte *late;
    late = take(100);
    late = resize(late, 10000);
    drop(late);
}

void L05(void)
{
    at_end = take(1000);
    MUST(!atexit(free_at_exit));
}

void L06(void)
{
    byte *block = take(1000);
    write_pattern(block, 0, 1000);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        check_pattern(block, 1000);
        drop(block);
        drop(take(100000));
        exit(0);
    }
    int status;
    MUST(waitpid(child, &status, 0) == child && status == 0);
    drop(block);
}

void L07(void)
{
    void *blocks[100];
    for (size_t i = 0; i < 100; i++) blocks[i] = OPAQUE(i % 2 ? malloc(0) : calloc(0, 8));
    for (size_t i = 0; i < 100; i++)
        for (size_t j = 0; j < i; j++) MUST(!blocks[i] || blocks[i] != blocks[j]);
    byte *grown = resize(blocks[0], 40);
    MUST(grown);
    write_pattern(grown, 0, 40);
    blocks[0] = grown;
    for (size_t i = 0; i < 100; i++) drop(blocks[i]);
}

void L08(void)
{
    static volatile size_t most = SIZE_MAX;
    byte *block = take(50);
    write_pattern(block, 0, 50);
    errno = 0;
    MUST(!OPAQUE(malloc(most / 2 + 1)) && errno == ENOMEM);
    errno = 0;
    MUST(!resize(block, most / 2 + 1) && errno == ENOMEM);
    check_pattern(block, 50);
    MUST(posix_memalign((void **)&at_end, 64, most / 2 + 1) == ENOMEM);
    errno = 0;
    MUST(!OPAQUE(reallocarray(block, most / 4, 5)) && errno == ENOMEM);
    check_pattern(block, 50);
    drop(block);
}

void L09(void)
{
    static volatile size_t half = SIZE_MAX / 2;
    errno = 0;
    MUST(!OPAQUE(calloc(half, 3)) && errno == ENOMEM);
    byte *block = OPAQUE(calloc(1000, 3));
    MUST(block && filled_with(block, 0, 3000));
    drop(block);
}

void L10(void)
{
    errno = 7;
    free(OPAQUE((void *)NULL));
    drop(take(100));
    drop(take(3 * MIB));
    MUST(errno == 7);
    MUST(malloc_usable_size(OPAQUE((void *)NULL)) == 0);
    void *made = resize(NULL, 10);
    MUST(made);
    drop(made);
}

void L11(void)
{
    char *line = NULL, *text = NULL, *where = NULL;
    size_t room = 0, memory_size = 0;
    char *memory = NULL;
    FILE *stream = fopen("/proc/self/maps", "re");
    MUST(stream);
    while (getline(&line, &room, stream) >= 0) MUST(room > 0);
    fclose(stream);
    drop(line);
    MUST(asprintf(&text, "%d %s", 5, "words") == 7);
    drop(text);
    drop(strdup("a text"));
    drop(strndup("a text", 3));
    drop(wcsdup(L"wide"));
    MUST((where = getcwd(NULL, 0)));
    drop(where);
    drop(realpath("/proc/self", NULL));
    stream = open_memstream(&memory, &memory_size);
    for (unsigned i = 0; i < 5000; i++) fprintf(stream, "%u ", i);
    fclose(stream);
    MUST(strlen(memory) == memory_size);
    drop(memory);
}

void L12(void)
{
    struct dirent **names;
    int count = scandir("/proc/self", &names, NULL, alphasort);
    MUST(count > 10);
    for (int i = 0; i < count; i++) drop(names[i]);
    drop(names);
}

// L13 and L14 are in legal.cc.

// Pointers where no word begins.
struct __attribute__((packed)) packed {
    char tag;
    struct packed *next;
    uint32_t value;
};

void L15(void)
{
    struct packed *first = NULL;
    for (uint32_t i = 0; i < 5000; i++) {
        struct packed *fresh = take(sizeof *fresh);
        *fresh = (struct packed){.next = first, .value = i};
        first = fresh;
        drop(take(sizeof *fresh));
    }
    for (uint32_t i = 5000; i-- > 0;) {
        struct packed *next = first->next;
        MUST(first->value == i);
        drop(first);
        first = next;
    }
    MUST(!first);
}

// A list linked both ways by one word: no pointer to a block stands anywhere.
struct folded {
    uintptr_t both;
    uint64_t value;
};

void L16(void)
{
    struct folded *before = NULL, *last = NULL, *first = NULL;
    for (uint64_t i = 0; i < 5000; i++) {
        struct folded *fresh = take(sizeof *fresh);
        *fresh = (struct folded){.both = (uintptr_t)last, .value = i};
        if (last) last->both ^= (uintptr_t)fresh;
        if (!first) first = fresh;
        last = fresh;
        drop(take(sizeof *fresh));
    }
    settle();
    for (uint64_t i = 0; first; i++) {
        struct folded *next = (struct folded *)(first->both ^ (uintptr_t)before);
        MUST(first->value == i);
        if (before) drop(before);
        before = first;
        first = next;
    }
    drop(before);
}

void L17(void)
{
    static const char *const modules[] = {"libm.so.6", "libutil.so.1", "libanl.so.1"};
    for (unsigned round = 0; round < 20; round++)
        for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
            void *module = dlopen(modules[i], RTLD_NOW);
            void *block = take(100);
            if (module) dlclose(module);
            drop(block);
        }
    MUST(!dlopen("/nonexistent.so", RTLD_NOW) && dlerror());
}

static jmp_buf back;

static void leap(byte *block)
{
    block = resize(block, 5000);
    drop(block);
    longjmp(back, 1);
}

void L18(void)
{
    for (unsigned i = 0; i < 1000; i++)
        if (!setjmp(back)) leap(take(i + 1));
}

static void *make_and_free(void *stop)
{
    while (!*(volatile bool *)stop) drop(resize(take(100), 3000));
    return NULL;
}

void L19(void)
{
    static bool stop;
    pthread_t thread;
    MUST(!pthread_create(&thread, NULL, make_and_free, &stop));
    for (unsigned i = 0; i < 50; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (unsigned j = 0; j < 200; j++) drop(resize(take(100), 3000));
            _exit(0);
        }
        int status;
        MUST(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    }
    *(volatile bool *)&stop = true;
    pthread_join(thread, NULL);
}

// A block's place may come back: what compares old addresses is no misuse, as long as it follows none.
void L20(void)
{
    uintptr_t seen[64];
    for (unsigned i = 0; i < 100000; i++) {
        byte *block = take(64);
        block[63] = 1;
        seen[i % 64] = (uintptr_t)block;
        drop(block);
    }
    MUST(seen[5]);
}

// Reads of whole words and lines of the cache around the end of a text are the C library's right.
void L21(void)
{
    for (size_t size = 1; size < 300; size++) {
        char *text = take(size), *other = take(size);
        fill(text, 'x', size);
        text[size - 1] = '\0';
        memcpy(OPAQUE(other), OPAQUE(text), OPAQUE(size));
        MUST(strlen(OPAQUE(text)) == size - 1);
        MUST(!strcmp(OPAQUE(text), OPAQUE(other)));
        MUST(memchr(OPAQUE(text), 0, OPAQUE(size)) == text + size - 1);
        strcpy(OPAQUE(other), OPAQUE(text));
        memset(OPAQUE(other), 0, OPAQUE(size));
        snprintf(OPAQUE(other), OPAQUE(size), "%s", text);
        MUST(!strcmp(text, other));
        drop(text);
        drop(other);
    }
}

// Lengths that say "as far as it goes": SIZE_MAX to functions that stop at what they look for.
void L22(void)
{
    char *text = take(32);
    strcpy(text, "here is the needle, and zero");
    MUST(memchr(OPAQUE(text), 'n', OPAQUE(SIZE_MAX / 2)) == text + 12);
    MUST(strnlen(OPAQUE(text), OPAQUE(SIZE_MAX / 2)) == 28);
    MUST(!strncmp(OPAQUE(text), "here", OPAQUE((size_t)4)));
    memcpy(OPAQUE(text), OPAQUE(text + 32), OPAQUE((size_t)0));
    memmove(OPAQUE(text + 32), OPAQUE(text), OPAQUE((size_t)0));
    memmove(OPAQUE(text), OPAQUE(text + 1), OPAQUE((size_t)31));
    drop(text);
}

// One past the end, as a limit.
void L23(void)
{
    for (size_t size = 8; size < 5000; size = size * 3 / 2 + 8) {
        byte *from = take(size), *end = from + size;
        for (byte *at = from; at != OPAQUE(end); at++) *at = 1;
        byte *end_kept = end;
        drop(from);
        MUST(OPAQUE(end_kept));
    }
}

void L24(void)
{
    byte *block = take(MIB), *kept;
    fill(block, 1, MIB);
    MUST(!madvise((void *)(((uintptr_t)block + 4095) & ~UINT64_C(4095)), MIB / 2, MADV_DONTNEED));
    fill(block, 2, MIB);
    uintptr_t page = ((uintptr_t)block + 65535) & ~UINT64_C(65535);
    MUST(!mprotect((void *)page, 65536, PROT_READ));
    MUST(*(volatile byte *)page == 2);
    MUST(!mprotect((void *)page, 65536, PROT_READ | PROT_WRITE));
    kept = resize(block, 3 * MIB);
    MUST(kept && kept[MIB - 1] == 2);
    drop(kept);
}

static volatile sig_atomic_t caught;
static sigjmp_buf after_fault;

static void on_fault(int signal)
{
    caught = signal;
    siglongjmp(after_fault, 1);
}

// A program's own faults are its own: languages' run times make use of them.
void L25(void)
{
    struct sigaction action = {.sa_handler = on_fault};
    sigaction(SIGSEGV, &action, NULL);
    byte *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(page != MAP_FAILED);
    for (unsigned i = 0; i < 3; i++) {
        caught = 0;
        void *block = take(100);
        if (!sigsetjmp(after_fault, 1)) *(volatile byte *)page = 1;
        MUST(caught == SIGSEGV);
        drop(block);
    }
    action.sa_handler = SIG_DFL;
    sigaction(SIGSEGV, &action, NULL);
}

// Threads with small stacks, each with blocks of its own, which another frees.
static void *few(void *unused)
{
    void **made = take(10 * sizeof *made);
    for (size_t i = 0; i < 10; i++) made[i] = take(100 * i + 1);
    (void)unused;
    return made;
}

void L26(void)
{
    pthread_attr_t small;
    pthread_attr_init(&small);
    MUST(!pthread_attr_setstacksize(&small, 65536));
    for (unsigned i = 0; i < 100; i++) {
        pthread_t thread;
        void *result;
        MUST(!pthread_create(&thread, &small, few, NULL));
        MUST(!pthread_join(thread, &result));
        for (size_t j = 0; j < 10; j++) drop(((void **)result)[j]);
        drop(result);
    }
}

static pthread_key_t key;

static void free_own(void *block)
{
    drop(block);
    // And again, from a destructor, so that there is a second round.
    static __thread bool again;
    if (!again) pthread_setspecific(key, take(50));
    again = true;
}

static void *set_own(void *unused)
{
    pthread_setspecific(key, take(100));
    return unused;
}

void L27(void)
{
    MUST(!pthread_key_create(&key, free_own));
    for (unsigned i = 0; i < 50; i++) in_thread(set_own, NULL);
}

// So many blocks that mappings for each would run out (65,530 on most machines).
void L28(void)
{
    crowd_take(&crowd, 100, 200000);
    for (size_t i = 0; i < crowd.count; i++) *(volatile byte *)crowd.at[i] = 1;
    crowd_thin(&crowd);
    crowd_take(&crowd, 100, 50000);
    crowd_drop(&crowd);
}

void L29(void)
{
    for (size_t i = 0; i < 2000; i++) {
        crowd_add(&crowd, take(140000));
        *(volatile byte *)crowd.at[i] = 1;
    }
    crowd_thin(&crowd);
    crowd_drop(&crowd);
}

void L30(void)
{
    struct mallinfo2 info = mallinfo2();
    MUST(info.uordblks + 1);
    malloc_trim(0);
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    void *block = OPAQUE(valloc(100));
    MUST((uintptr_t)block % 4096 == 0);
    drop(block);
    drop(OPAQUE(pvalloc(100)));
    drop(OPAQUE(aligned_alloc(64, 640)));
    drop(OPAQUE(memalign(32, 1)));
}
