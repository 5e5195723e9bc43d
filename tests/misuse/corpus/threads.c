/*
 * J: what fork and threads add. A server that forks has children that all start from the same heap; an
 * attacker who crashes one of them again and again learns where things are.
 */
#include "corpus.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLACES = 32 };

// Where a child's next blocks are, relative to a block of the parent's.
static bool child_looks(const byte *from, size_t size, intptr_t places[PLACES])
{
    int ends[2], status;
    if (pipe(ends)) return false;
    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 0; i < PLACES; i++) places[i] = (byte *)take(size) - from;
        _exit(write(ends[1], places, PLACES * sizeof *places) < 0);
    }
    close(ends[1]);
    bool good = read(ends[0], places, PLACES * sizeof *places) == PLACES * (ssize_t)sizeof *places;
    close(ends[0]);
    return waitpid(child, &status, 0) == child && good;
}

INLINE void two_children(size_t size)
{
    static intptr_t one[PLACES], two[PLACES];
    byte *mine = take(size);
    if (!child_looks(mine, size, one) || !child_looks(mine, size, two)) refused("fork");
    if (!memcmp(one, two, sizeof one)) goal("two children chose the same places");
    drop(mine);
}

void J01(void)
{
    two_children(64);
}

void J02(void)
{
    two_children(300000);
}

// The distance of two blocks, as another process of the same program has it.
static bool distance_elsewhere(size_t size, intptr_t *distance)
{
    int ends[2], status;
    char text[24];
    snprintf(text, sizeof text, "%zu", size);
    if (pipe(ends)) return false;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl("/proc/self/exe", "corpus", "look", text, (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    bool good = read(ends[0], distance, sizeof *distance) == sizeof *distance;
    close(ends[0]);
    return waitpid(child, &status, 0) == child && good;
}

INLINE intptr_t distance_here(size_t size, byte **mine, byte **victim)
{
    *mine = take(size);
    *victim = take(size);
    return *victim - *mine;
}

void corpus_look(size_t size)
{
    byte *mine, *victim;
    intptr_t distance = distance_here(size, &mine, &victim);
    _exit(write(STDOUT_FILENO, &distance, sizeof distance) < 0);
}

INLINE void aim(size_t size)
{
    byte *mine, *victim;
    intptr_t distance = 0;
    if (!distance_elsewhere(size, &distance)) refused("another process");
    distance_here(size, &mine, &victim);
    *(volatile byte *)victim = 0x5a;
    mine[OPAQUE(distance)] = 0x41;
    if (*(volatile byte *)victim == 0x41) goal("the victim is where it was in another process");
    drop(victim);
    drop(mine);
}

void J03(void)
{
    aim(64);
}

void J04(void)
{
    aim(300000);
}

static pthread_barrier_t step;
static byte *shared;

static void *free_shared(void *unused)
{
    drop(shared);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return unused;
}

// Freed by a thread that lives on; used by the one that made it.
void J05(void)
{
    pthread_t other;
    pthread_barrier_init(&step, NULL, 2);
    shared = take(80);
    if (pthread_create(&other, NULL, free_shared, NULL)) refused("pthread_create");
    pthread_barrier_wait(&step);
    if (comes_back(shared, 80, 80, 4096)) goal("a new block lies where the dangling pointer leads");
    crowd_drop(&others);
    pthread_barrier_wait(&step);
    pthread_join(other, NULL);
}

// The second free while the first still waits to be handed to the block's owner.
void J06(void)
{
    pthread_t other;
    pthread_barrier_init(&step, NULL, 2);
    shared = take(80);
    if (pthread_create(&other, NULL, free_shared, NULL)) refused("pthread_create");
    pthread_barrier_wait(&step);
    drop(shared);
    pthread_barrier_wait(&step);
    pthread_join(other, NULL);
    goal_if_twice(80, 4096);
}

static void *free_given(void *block)
{
    drop(block);
    return NULL;
}

// Two other threads free it, one after the other, and neither is its owner.
void J07(void)
{
    void *block = take(80);
    in_thread(free_given, block);
    in_thread(free_given, block);
    goal_if_twice(80, 4096);
}

static void *make(void *unused)
{
    (void)unused;
    crowd_take(&crowd, 144, 100);
    shared = crowd_pull(&crowd, 50);
    return shared;
}

// The owner has ended; the block is freed, and a new thread takes over what it had.
static void *take_many(void *dangling)
{
    if (comes_back(dangling, 144, 144, 4096)) goal("a new thread's block lies there");
    crowd_drop(&others);
    return NULL;
}

void J08(void)
{
    in_thread(make, NULL);
    drop(shared);
    in_thread(take_many, shared);
    crowd_drop(&crowd);
}

// A child that ends by the allocator's hand shall be seen here.
static void pass_on(int status)
{
    struct sigaction normal = {.sa_handler = SIG_DFL};
    if (!WIFSIGNALED(status)) return;
    sigaction(WTERMSIG(status), &normal, NULL);
    raise(WTERMSIG(status));
}

// Freed before the fork, and freed again in the child.
void J09(void)
{
    byte *block = take(64);
    drop(block);
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        drop(block);
        crowd_take(&others, 64, 4096);
        _exit(crowd_collides(&others, 64) ? 42 : 0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) refused("fork");
    pass_on(status);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 42)
        goal("in the child one block was handed out twice");
}

// A thread goes on writing into what it had while others make new blocks.
static void *write_on(void *dangling)
{
    pthread_barrier_wait(&step);
    fill((byte *)dangling + 16, 0x41, 48);
    pthread_barrier_wait(&step);
    return NULL;
}

void J10(void)
{
    pthread_t other;
    pthread_barrier_init(&step, NULL, 2);
    byte *dangling = take(64);
    if (pthread_create(&other, NULL, write_on, dangling)) refused("pthread_create");
    drop(dangling);
    for (size_t i = 0; i < 512; i++) {
        byte *fresh = take(64);
        fill(fresh, 0x5a, 64);
        crowd_add(&crowd, fresh);
    }
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    pthread_join(other, NULL);
    for (size_t i = 0; i < crowd.count; i++)
        if (!filled_with(crowd.at[i], 0x5a, 64)) goal("another owner's data is changed");
    crowd_drop(&crowd);
}
