/*
 * kept: blocks, each kept alive in one known way, and one in none. It says a line for each, with its address and
 * those of the blocks on the way to it, and then "ready":
 *
 *     static     the tenth of a list that hangs on a variable; a longer way leads there too
 *     zeroed     in a table among variables that are zero in the file
 *     tls        by a variable of a thread;  stack: by one on its stack;  register: by one in a register
 *     both       by one on its stack, and by another block that hangs on a variable
 *     interior   only by a pointer to its byte 24
 *     lost       by a block that nobody knows of;  free: freed
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIST = 10, DETOUR = 30, LINK = 5 /* words */, SLOT = 3 };

struct node {
    void *word[12];
};

struct node *kept_list = (struct node *)1;
struct node *kept_table[8];
struct node *kept_interior = (struct node *)1;
struct node *kept_detour = (struct node *)1;
static _Thread_local struct node *kept_by_thread;
static pthread_barrier_t ready;
static volatile int end;

static struct node *make(void)
{
    return calloc(1, sizeof(struct node));
}

static __attribute__((noinline)) void wipe_stack(void)
{
    char dead[16 << 10];
    memset(dead, 0, sizeof dead);
    __asm__ volatile("" : : "r"(dead) : "memory");
}

static __attribute__((noinline)) void make_static(void)
{
    struct node *list[LIST], *detour = kept_detour = make();
    for (int i = 0; i < LIST; i++) list[i] = make();
    for (int i = 0; i + 1 < LIST; i++) list[i]->word[LINK] = list[i + 1];
    for (int i = 0; i < DETOUR; i++, detour = detour->word[0]) detour->word[0] = make();
    detour->word[0] = list[LIST - 1];
    list[LIST - 1]->word[1] = list[0]; /* a circle leads nowhere new */
    kept_list = list[0];
    flockfile(stdout); /* threads say their lines meanwhile */
    printf("static");
    for (int i = LIST - 1; i >= 0; i--) printf(" %p", (void *)list[i]);
    printf("\n");
    funlockfile(stdout);
}

static __attribute__((noinline)) void make_others(void)
{
    struct node *lost = make(), *of_lost = make(), *inside = make();
    kept_table[SLOT] = make();
    kept_interior = (struct node *)((char *)inside + 24);
    lost->word[2] = of_lost;
    printf("zeroed %p\ninterior %p\nlost %p %p\n", (void *)kept_table[SLOT], (void *)inside,
           (void *)of_lost, (void *)lost);
}

static __attribute__((noinline)) void make_free(void)
{
    struct node *block = make(), *guard = make();
    printf("free %p\n", (void *)block);
    kept_table[SLOT + 1] = guard;
    free(block);
}

static __attribute__((noinline)) void make_tls(void)
{
    kept_by_thread = make();
    printf("tls %p\n", (void *)kept_by_thread);
}

static void *hold_tls(void *unused)
{
    (void)unused;
    make_tls();
    wipe_stack();
    pthread_barrier_wait(&ready);
    while (!end) usleep(1000);
    kept_by_thread->word[0] = NULL;
    return NULL;
}

static void *hold_stack(void *unused)
{
    (void)unused;
    struct node *volatile block[4] = {make(), NULL, make(), NULL};
    kept_table[SLOT + 2] = make();
    kept_table[SLOT + 2]->word[LINK] = block[0];
    printf("stack %p\nboth %p %p\n", (void *)block[2], (void *)block[0],
           (void *)kept_table[SLOT + 2]);
    wipe_stack();
    pthread_barrier_wait(&ready);
    while (!end) usleep(1000);
    return block[0] ? block[2] : NULL;
}

#ifdef __x86_64__
static __attribute__((noinline)) uintptr_t make_hidden(void)
{
    struct node *block = make();
    printf("register %p\n", (void *)block);
    return ~(uintptr_t)block;
}

static void *hold_register(void *unused)
{
    uintptr_t hidden = make_hidden();
    (void)unused;
    wipe_stack();
    pthread_barrier_wait(&ready);
    __asm__ volatile("notq %0\n1: pause\n cmpl $0, %1\n je 1b\n notq %0"
                     : "+&b"(hidden)
                     : "m"(end));
    return (void *)hidden;
}
#endif

int main(void)
{
    void *(*holders[])(void *) = {
        hold_tls,
        hold_stack,
#ifdef __x86_64__
        hold_register,
#endif
    };
    enum { HOLDERS = sizeof holders / sizeof *holders };
    pthread_t threads[HOLDERS];
    char byte;
    pthread_barrier_init(&ready, NULL, HOLDERS + 1);
    for (int i = 0; i < HOLDERS; i++) {
        if (pthread_create(&threads[i], NULL, holders[i], NULL) != 0) return 98;
    }
    make_static();
    make_others();
    make_free();
    wipe_stack();
    pthread_barrier_wait(&ready);
    printf("variables %p %p\nready\n", (void *)&kept_list, (void *)&kept_table[SLOT]);
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
    _exit(0);
}
