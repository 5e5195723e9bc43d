/*
 * The same calls on kernels that differ: pages of 4, 16 and 64 KiB; locked memory, of which nothing can
 * be given back; no mremap; no thread for the purger, or one that comes round all the time.
 *
 * What could break: a piece of 4 KiB taken for a page; memory taken for clean although the kernel kept
 * its contents; anything that relies on the purger, or on its absence. os/fake checks each address
 * and size against the page; the model checks the contents. A process each, as the allocator starts
 * only once.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <freehold/freehold.h>

#include "kit/expect.h"
#include "kit/random.h"
#include "model/model.h"
#include "os/fake/fake.h"

enum { PHASES = 8, STEPS = 1500, HANG_S = 120 };

struct kernel {
    const char *name;
    size_t page_size;
    bool refuse_purge, refuse_move;
    enum os_fake_helper helper;
};

static const struct kernel kernels[] = {
    {"pages of 4 KiB", 4 << 10, false, false, OS_FAKE_HELPER_WAITS},
    {"pages of 16 KiB", 16 << 10, false, false, OS_FAKE_HELPER_WAITS},
    {"pages of 64 KiB", 64 << 10, false, false, OS_FAKE_HELPER_WAITS},
    {"no helper", 4 << 10, false, false, OS_FAKE_HELPER_REFUSED},
    {"locked memory", 4 << 10, true, false, OS_FAKE_HELPER_WAITS},
    {"locked memory, pages of 64 KiB", 64 << 10, true, false, OS_FAKE_HELPER_WAITS},
    {"no mremap", 4 << 10, false, true, OS_FAKE_HELPER_WAITS},
    {"nothing works", 16 << 10, true, true, OS_FAKE_HELPER_REFUSED},
};

static struct model model;
static bool helper_ran;

/* What lies about is a minute old, and the purger comes: a few times. */
static void let_time_pass(void)
{
    os_fake.clock_ms += 60000;
    for (int i = 0; i < 5; i++) helper_ran |= os_fake_run_helper();
}

/* Neighbours that all grow: most have to move, by page tables where those can be had. */
static void grow_large(void)
{
    for (unsigned i = 0; i < 6; i++) model_malloc(&model, i, 2 << 20);
    for (unsigned i = 0; i < 6; i++) model_realloc(&model, i, 7 << 20);
}

static void run_phase(struct random *random, unsigned phase)
{
    static const size_t size_max[] = {300, 3000, 40000, 20 << 20};
    for (int i = 0; i < STEPS; i++) model_step(&model, random, size_max[phase % 4]);
    grow_large();
    let_time_pass();
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        model_check(&model, i);
        if (phase % 3 == 2 && !random_chance(random, 9)) model_free(&model, i);
    }
    let_time_pass();
    if (phase % 5 == 4) fh_malloc_trim(0);
}

static _Noreturn void child(const struct kernel *kernel)
{
    struct random random = {kernel->page_size};
    alarm(HANG_S);
    os_fake.page_size = kernel->page_size;
    os_fake.refuse_purge = kernel->refuse_purge;
    os_fake.refuse_move = kernel->refuse_move;
    os_fake.helper = kernel->helper;
    model_init(&model, 400 << 20, 1);
    for (unsigned phase = 0; phase < PHASES; phase++) run_phase(&random, phase);
    model_finish(&model);
    EXPECT(kernel->helper == OS_FAKE_HELPER_REFUSED || helper_ran, "the purger never ran");
    EXPECT(kernel->refuse_purge || os_fake.purged > 0, "nothing was ever given back");
    EXPECT(kernel->refuse_move || os_fake.moved > 0, "nothing was ever moved");
    _exit(0);
}

int main(void)
{
    int failed = 0;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        fflush(stdout);
        pid_t pid = fork();
        EXPECT(pid >= 0, "fork");
        if (pid == 0) child(&kernels[i]);
        int status;
        EXPECT(waitpid(pid, &status, 0) == pid, "waitpid");
        printf("%s: %s\n", kernels[i].name, status ? "FAILED" : "fine");
        failed += status != 0;
    }
    return failed != 0;
}
