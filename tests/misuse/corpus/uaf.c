/*
 * E: a block is used after it was freed. The dangling pointer stays where programs have such pointers: on the
 * stack, in a global, in another block. The goals: a new block of another owner lies where it leads to, or
 * what is written through it reaches another's data.
 */
#include "corpus.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

INLINE void goal_if_back(const void *dangling, size_t at_size, size_t size, size_t count)
{
    if (comes_back(dangling, at_size, size, count))
        goal("a new block lies where the dangling pointer leads");
    crowd_drop(&others);
}

// count blocks made and freed one after the other: does one lie over the dangling pointer's?
INLINE bool churn_comes_back(const void *at, size_t size, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        byte *fresh = take(size);
        *(volatile byte *)fresh = 1;
        if (overlap(fresh, size, at, size)) return drop(fresh), true;
        drop(fresh);
    }
    return false;
}

INLINE void goal_if_churned_back(const void *at, size_t size, size_t count)
{
    if (churn_comes_back(at, size, count))
        goal("a new block lies where the dangling pointer leads");
}

// --- reuse, at once and later --------------------------------------------------------------------

INLINE void reuse(size_t size, size_t count)
{
    byte *dangling = take(size);
    drop(dangling);
    goal_if_back(dangling, size, size, count);
}

void E01(void)
{
    reuse(64, 1);
}

void E02(void)
{
    reuse(64, 10);
}

void E03(void)
{
    reuse(64, 100);
}

void E04(void)
{
    reuse(64, 1000);
}

void E05(void)
{
    byte *dangling = take(64);
    fill_words(dangling, SECRET, 64);
    drop(dangling);
    if (find_word(OPAQUE(dangling) + 16, 48, SECRET)) goal("what was freed is read");
}

struct object {
    void (*act)(void);
    uint64_t data[9];
};

static void honest(void) {}

static void hijacked(void)
{
    goal("the attacker's function was called");
}

static __attribute__((noinline)) struct object *object_create(void)
{
    struct object *object = take(sizeof *object);
    object->act = honest;
    return object;
}

// What the attacker sends: a text with an address wherever the object could have its function.
static __attribute__((noinline)) void text_spray(size_t size, size_t count)
{
    while (count--) {
        byte *text = take(size);
        for (size_t at = 0; at + 8 <= size; at += 8)
            *(void (*volatile *)(void))(text + at) = hijacked;
        crowd_add(&others, text);
    }
}

static void call(struct object *dangling)
{
    // Anything else would crash: not what the attacker wants.
    if (OPAQUE(dangling)->act == hijacked) OPAQUE(dangling)->act();
}

void E06(void)
{
    struct object *dangling = object_create();
    drop(dangling);
    text_spray(sizeof *dangling, 512);
    call(dangling);
    crowd_drop(&others);
}

// Written through the dangling pointer, into what has another owner by now.
void E07(void)
{
    byte *dangling = take(sizeof(struct object));
    drop(dangling);
    for (size_t i = 0; i < 512; i++) crowd_add(&others, object_create());
    *(void (*volatile *)(void))OPAQUE(dangling) = hijacked;
    for (size_t i = 0; i < others.count; i++) call(others.at[i]);
    crowd_drop(&others);
}

void E08(void)
{
    struct object *dangling = object_create();
    dangling->data[4] = (uintptr_t)hijacked;
    drop(dangling);
    // Nothing came in its place: the freed object goes on acting.
    if (OPAQUE(dangling)->data[4] == (uintptr_t)hijacked)
        goal("a freed object's function is still there");
}

void E09(void)
{
    byte *dangling = take(MIB);
    fill_words(dangling, SECRET, 4096);
    drop(dangling);
    if (find_word(OPAQUE(dangling) + 64, 4032, SECRET)) goal("what was freed is read");
}

// --- links in freed blocks -----------------------------------------------------------------------

static uint64_t target[32] __attribute__((aligned(64)));

// Frees `before` blocks, then two; writes over the first words of the last, and takes them again.
INLINE void poison(size_t before, size_t size, bool encoded, bool shifted)
{
    crowd_take(&crowd, size, before);
    byte *first = take(size), *last = take(size);
    crowd_drop(&crowd);
    drop(first);
    drop(last);
    uintptr_t to = (uintptr_t)target + (shifted ? 8 : 0);
    if (encoded) to ^= (uintptr_t)last >> 12;
    // What glibc's other list of freed blocks wants to see there: a size, and a link to nothing.
    target[1] = before ? 0x51 : 0;
    target[2] = before ? (uintptr_t)&target[2] >> 12 : 0;
    *(volatile uintptr_t *)OPAQUE(last) = to;
    goal_if_within(target, sizeof target, size, 64);
}

void E10(void)
{
    poison(0, 64, false, false);
}

void E11(void)
{
    poison(0, 64, true, false);
}

void E12(void)
{
    poison(7, 64, true, false);
}

void E13(void)
{
    poison(0, 48, false, true);
}

// --- other sizes, other types --------------------------------------------------------------------

void E14(void)
{
    crowd_take(&crowd, 64, 8192);
    byte *dangling = crowd.at[4000];
    crowd_drop(&crowd);
    goal_if_back(dangling, 64, 4096, 512);
}

void E15(void)
{
    crowd_take(&crowd, 4096, 512);
    byte *dangling = crowd.at[200];
    crowd_drop(&crowd);
    goal_if_back(dangling, 4096, 64, 40000);
}

void E16(void)
{
    reuse(MIB, 8);
}

void E17(void)
{
    reuse(200000, 32);
}

void E18(void)
{
    crowd_take(&crowd, MIB, 8);
    byte *dangling = crowd.at[3];
    crowd_drop(&crowd);
    goal_if_back(dangling, MIB, 1000, 16384);
}

void E19(void)
{
    byte *dangling = take(100), *fence = take(100);
    void *grown = resize(dangling, 5000);
    if (grown == dangling) refused("the block did not move");
    goal_if_back(dangling, 100, 100, 512);
    drop(grown);
    drop(fence);
}

static void *free_it(void *block)
{
    drop(block);
    return NULL;
}

static void *take_over(void *dangling)
{
    crowd_take(&others, 128, 512);
    if (crowd_over(&others, 128, dangling, 128)) goal("another thread's block lies there");
    crowd_drop(&others);
    return NULL;
}

void E20(void)
{
    byte *dangling = take(128);
    in_thread(free_it, dangling);
    goal_if_back(dangling, 128, 128, 1024);
}

void E21(void)
{
    reuse(64, 10000);
}

void E22(void)
{
    byte *dangling = take(64);
    crowd_take(&crowd, 64, 2000);
    drop(dangling);
    crowd_thin(&crowd);
    goal_if_back(dangling, 64, 64, 8000);
    crowd_drop(&crowd);
}

void E23(void)
{
    byte *dangling = take(64);
    drop(dangling);
    goal_if_churned_back(dangling, 64, 400000);
}

void E24(void)
{
    byte *dangling = take(96);
    drop(dangling);
    for (size_t i = 0; i < 200000 && !goal_reached(); i++) {
        size_t size = 16 + dice(500);
        byte *fresh = take(size);
        if (overlap(fresh, size, dangling, 96))
            goal("a new block lies where the dangling pointer leads");
        crowd_add(&crowd, fresh);
        if (crowd.count >= 64) drop(crowd_pull(&crowd, dice(64)));
    }
    crowd_drop(&crowd);
}

void E25(void)
{
    reuse(64, 100000);
}

// First so many are freed that whatever holds freed blocks back has to let go of the first.
void E26(void)
{
    crowd_take(&crowd, 64, 100000);
    byte *dangling = crowd.at[crowd.count - 1];
    crowd_drop(&crowd);
    goal_if_back(dangling, 64, 64, 100000);
}

void E27(void)
{
    // Pages that went back to the kernel need not be cleared.
    byte *dangling = take(4 * MIB);
    drop(dangling);
    malloc_trim(0);
    fill(OPAQUE(dangling) + 100000, 0x41, 64);
    for (size_t i = 0; i < 4; i++) {
        byte *fresh = take_zeroed(4 * MIB);
        if (!filled_with(fresh, 0, 200000)) goal("calloc gave memory that is not zero");
        crowd_add(&crowd, fresh);
    }
    crowd_drop(&crowd);
}

// What the attacker wrote into a freed block is found by its next owner, who did not set all of it.
void E28(void)
{
    byte *dangling = take(sizeof(struct object));
    drop(dangling);
    fill_words(OPAQUE(dangling) + 16, (uintptr_t)hijacked, 64);
    for (size_t i = 0; i < 2048; i++) {
        struct object *object = object_create();
        if (object->data[4] == (uintptr_t)hijacked) goal("a new object begins with our words");
        crowd_add(&crowd, object);
    }
    crowd_drop(&crowd);
}

void E29(void)
{
    reuse(16384, 256);
}

void E30(void)
{
    byte *dangling = take(128);
    drop(dangling);
    // Does another thread get what this one has freed? Only when it is handed on.
    malloc_trim(0);
    in_thread(take_over, dangling);
    goal_if_back(dangling, 128, 128, 64);
}

// Type A is freed and type B, of the same size and made elsewhere, comes in its place.
struct account {
    uint64_t balance;
    struct account *next;
    uint64_t rest[8];
};

static __attribute__((noinline)) struct account *account_create(void)
{
    struct account *account = take(sizeof *account);
    account->balance = (uintptr_t)hijacked;
    account->next = NULL;
    return account;
}

void E31(void)
{
    for (size_t i = 0; i < 256; i++) crowd_add(&crowd, object_create());
    struct object *dangling = crowd.at[128];
    crowd_drop(&crowd);
    for (size_t i = 0; i < 2048; i++) crowd_add(&others, account_create());
    if (crowd_over(&others, sizeof(struct account), dangling, sizeof *dangling))
        goal("an object of another type lies where the dangling pointer leads");
    crowd_drop(&others);
}

// --- where the dangling pointer is, under churn --------------------------------------------------

static byte *kept_global;

void E32(void)
{
    kept_global = take(80);
    drop(kept_global);
    goal_if_churned_back(kept_global, 80, 200000);
}

void E33(void)
{
    byte **holder = take(64);
    holder[3] = take(80);
    drop(holder[3]);
    goal_if_churned_back(holder[3], 80, 200000);
    drop(holder);
}

static __thread byte *kept_own;

void E34(void)
{
    kept_own = take(80);
    drop(kept_own);
    goal_if_churned_back(kept_own, 80, 200000);
}

void E35(void)
{
    byte **mapped = other_memory(4096);
    mapped[17] = take(80);
    drop(mapped[17]);
    goal_if_churned_back(mapped[17], 80, 200000);
}

// Only a pointer into the middle is left.
void E36(void)
{
    byte *inside = (byte *)take(256) + 100;
    drop(inside - 100);
    for (size_t i = 0; i < 200000 && !goal_reached(); i++) {
        byte *fresh = take(256);
        if (overlap(fresh, 256, OPAQUE(inside), 1))
            goal("a new block lies where the dangling pointer leads");
        drop(fresh);
    }
}

static pthread_barrier_t step;

// Holds the only dangling pointer on its own stack while the main thread goes on.
static void *hold(void *freed_here)
{
    byte *volatile dangling = take(80);
    drop(dangling);
    *(uintptr_t *)freed_here = ~(uintptr_t)dangling;
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    if (goal_reached()) *(volatile byte *)freed_here = dangling != NULL;
    return NULL;
}

void E37(void)
{
    static uintptr_t turned;
    pthread_t holder;
    pthread_barrier_init(&step, NULL, 2);
    if (pthread_create(&holder, NULL, hold, &turned)) refused("pthread_create");
    pthread_barrier_wait(&step);
    for (size_t i = 0; i < 200000 && !goal_reached(); i++) {
        byte *fresh = take(80);
        if (overlap(fresh, 80, (void *)~turned, 80))
            goal("a new block lies where another thread's pointer leads");
        drop(fresh);
        // The freed block may have to come from the thread that has freed it.
        if (i % 1000 == 0) malloc_trim(0);
    }
    pthread_barrier_wait(&step);
    pthread_join(holder, NULL);
}

void E38(void)
{
    byte *dangling = take(40000);
    drop(dangling);
    goal_if_churned_back(dangling, 40000, 20000);
}

void E39(void)
{
    byte *dangling = take(400000);
    drop(dangling);
    goal_if_churned_back(dangling, 400000, 4000);
}

// E40 and E41 are in mismatch.cc.

void E42(void)
{
    byte *dangling = take(64);
    drop(dangling);
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        crowd_take(&others, 64, 512);
        _exit(crowd_over(&others, 64, dangling, 64) ? 42 : 0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) refused("fork");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 42) goal("in the child a new block lies there");
    if (WIFSIGNALED(status)) raise(WTERMSIG(status));
}

// The C library is handed the dangling pointer: it copies another's data into a freed block's place.
void E43(void)
{
    byte *dangling = take(64), spare[64];
    fill(spare, 0x41, 64);
    drop(dangling);
    crowd_take(&others, 64, 512);
    for (size_t i = 0; i < others.count; i++) fill(others.at[i], 0x5a, 64);
    memcpy(OPAQUE(dangling), OPAQUE(&spare), OPAQUE((size_t)64));
    for (size_t i = 0; i < others.count; i++)
        if (!filled_with(others.at[i], 0x5a, 64)) goal("another owner's data is changed");
    crowd_drop(&others);
}

void E44(void)
{
    byte *dangling = take(64);
    drop(dangling);
    crowd_take(&others, 64, 512);
    for (size_t i = 0; i < others.count; i++) fill_words(others.at[i], SECRET, 64);
    uint64_t copied[8] = {0};
    memcpy(OPAQUE(&copied), OPAQUE(dangling), OPAQUE((size_t)64));
    if (find_word(copied, 64, SECRET)) goal("another owner's secret is read");
    crowd_drop(&others);
}

// A counter of references is taken down once more, in an object that is another's by now.
void E45(void)
{
    uint64_t *dangling = take(56);
    *dangling = 1;
    drop(dangling);
    for (size_t i = 0; i < 512; i++) {
        uint64_t *fresh = take(56);
        fresh[0] = 1;
        crowd_add(&others, fresh);
    }
    if (*(volatile uint64_t *)OPAQUE(dangling) == 1) --*(volatile uint64_t *)dangling;
    for (size_t i = 0; i < others.count; i++)
        if (*(volatile uint64_t *)others.at[i] == 0)
            goal("another's object lost its last reference");
    crowd_drop(&others);
}

void E46(void)
{
    byte *dangling = take(MIB);
    drop(dangling);
    crowd_take(&others, MIB, 8);
    for (size_t i = 0; i < others.count; i++) fill(others.at[i], 0x5a, 64);
    *(volatile byte *)OPAQUE(dangling) = 0x41;
    for (size_t i = 0; i < others.count; i++)
        if (!filled_with(others.at[i], 0x5a, 64)) goal("another owner's data is changed");
    crowd_drop(&others);
}

// Freed by a resize to nothing, and no longer an owner.
void E47(void)
{
    byte *dangling = take(64);
    if (resize(dangling, 0)) missing("realloc to nothing does not free");
    goal_if_back(dangling, 64, 64, 512);
}

// Many dangling pointers; any of them will do.
void E48(void)
{
    static byte *dangling[1000];
    for (size_t i = 0; i < 1000; i++) dangling[i] = take(64);
    for (size_t i = 0; i < 1000; i++) drop(dangling[i]);
    for (size_t i = 0; i < 100000 && !goal_reached(); i++) {
        byte *fresh = take(64);
        for (size_t j = i % 10; j < 1000; j += 10)
            if (fresh == dangling[j]) goal("a new block lies where a dangling pointer leads");
        drop(fresh);
    }
}

// In batches, as a server that handles one request after the other.
void E49(void)
{
    byte *dangling = take(64);
    drop(dangling);
    for (size_t round = 0; round < 400 && !goal_reached(); round++) {
        crowd_take(&others, 64, 500);
        if (crowd_over(&others, 64, dangling, 64))
            goal("a new block lies where the dangling pointer leads");
        crowd_drop(&others);
    }
}
