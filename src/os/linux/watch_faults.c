/*
 * os/watch.h by mprotect. A grain of 64 KiB is protected and freed at once: fewer faults, and fewer mappings, of which
 * a process has 65,530, than with pages. The states of a grain, with who changes them:
 *
 *                   faults_again               mprotect
 *        WRITTEN ------------------> CHANGING ----------> PROTECTED
 *           ^                           |  ^                  |
 *           +---------------------------+  +------------------+
 *                    mprotect                  faults_serve
 *
 * Who brings a grain to CHANGING is alone with it; who faults on it meanwhile waits, for one system call of a thread that
 * no signal stops there: the handler runs with all signals blocked, the collector always does. So a grain that can be
 * written to without a fault is never PROTECTED while a cycle goes on.
 *
 * When the kernel has no mapping left to cut a grain out of a protected run, the whole run is freed: that needs none,
 * as long as the run is a mapping of its own. So the first and the last grain, beside which there may be memory that is
 * readable only, are not watched and always count as written.
 *
 * The handler is the last to have come: what is no fault of ours goes to the one before it, with the mask and flags which that
 * was installed with. A program that puts its own over ours takes the faults from us: it is asked before each cycle whose
 * the handler is, and if it is not ours, it is put over theirs. Theirs may call ours in turn, which had been there before:
 * then the fault is nobody's of the two and goes to the one that was there at first. By the kernel ours is called with all
 * signals blocked, and so the two calls are told apart.
 *
 * A thread that blocks SIGSEGV would be killed by a fault: while there is one, nothing is protected.
 *
 * Rejected: a lock instead of CHANGING (a fork would leave it taken); single pages (a write by the kernel succeeds on
 * the neighbours of a page that the program has written to, but the mappings are used up by 256 MiB).
 */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "base/syscall.h"
#include "os/linux/watch_faults.h"
#include "os/os.h"

enum grain_state { GRAIN_WRITTEN, GRAIN_PROTECTED, GRAIN_CHANGING };

#define GRAIN OS_WATCH_GRAIN

static struct {
    _Atomic uintptr_t start, end; /* what may be protected */
    uintptr_t added, added_end;   /* what was added; the first grain */
    _Atomic uint8_t *state;       /* of each grain from `added` on */
    size_t committed;             /* of them, in bytes */
    bool over;                    /* nothing is protected until faults_begin */
    bool installed;
    struct sigaction before, first; /* handlers: before ours, and before it was there at all */
    _Atomic uintptr_t vain_at;      /* a fault where nothing is protected, */
    _Atomic uint32_t vain;          /* so many times in a row */
} faults;

static _Atomic uint8_t *grain_of(uintptr_t address)
{
    return &faults.state[(address - faults.added) / GRAIN];
}

static bool protect(uintptr_t start, uintptr_t end, int how)
{
    return SYS3(SYS_mprotect, start, end - start, how) == 0;
}

/* From one state to another; waits for who is changing it. False: it is in neither of the two. */
static bool grain_turn(_Atomic uint8_t *grain, uint8_t from, uint8_t to)
{
    for (;;) {
        uint8_t now = from;
        if (atomic_compare_exchange_strong(grain, &now, to)) return true;
        if (now != GRAIN_CHANGING) return false;
        SYS0(SYS_sched_yield);
    }
}

static void grains_set(uintptr_t start, uintptr_t end, uint8_t state)
{
    for (uintptr_t p = start; p < end; p += GRAIN) atomic_store(grain_of(p), state);
}

/* Protected neighbours that nobody is changing, brought to CHANGING too. */
static bool run_widen(uintptr_t *start, uintptr_t *end)
{
    uintptr_t was_start = *start, was_end = *end;
    uintptr_t low = LOAD(&faults.start), high = LOAD(&faults.end);
    for (uint8_t is = GRAIN_PROTECTED; *start > low; *start -= GRAIN)
        if (!atomic_compare_exchange_strong(grain_of(*start - GRAIN), &is, GRAIN_CHANGING)) break;
    for (uint8_t is = GRAIN_PROTECTED; *end < high; *end += GRAIN)
        if (!atomic_compare_exchange_strong(grain_of(*end), &is, GRAIN_CHANGING)) break;
    return *start != was_start || *end != was_end;
}

/* Grains that are CHANGING become WRITTEN. */
static void grains_free(uintptr_t start, uintptr_t end)
{
    enum { TRIES = 100000 };
    for (unsigned tries = 0; !protect(start, end, PROT_READ | PROT_WRITE);) {
        if (!run_widen(&start, &end)) SYS0(SYS_sched_yield);
        CHECK(++tries < TRIES);
    }
    grains_set(start, end, GRAIN_WRITTEN);
}

/* ---- a fault ---------------------------------------------------------------------------------------- */

/* Who faults where nothing is protected came a moment late, or means something else, which happens again and again. */
static bool is_in_vain(uintptr_t address)
{
    enum { TIMES = 1000 };
    if (atomic_exchange(&faults.vain_at, address) != address) STORE(&faults.vain, 0);
    return atomic_fetch_add(&faults.vain, 1) >= TIMES;
}

bool faults_serve(uintptr_t address)
{
    if (address < LOAD_ACQUIRE(&faults.start) || address >= LOAD_ACQUIRE(&faults.end)) return false;
    uintptr_t start = base_round_down(address, GRAIN);
    if (!grain_turn(grain_of(start), GRAIN_PROTECTED, GRAIN_CHANGING)) return !is_in_vain(address);
    grains_free(start, start + GRAIN);
    STORE(&faults.vain_at, 0);
    return true;
}

/* Called by a handler that had been installed over ours: not all signals are blocked. */
static bool is_nested(void)
{
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    for (int signal = 1; signal < 32; signal++)
        if (signal != SIGKILL && signal != SIGSTOP && !sigismember(&now, signal)) return true;
    return false;
}

/* As without a handler: a fault is met again, and what was sent is sent again. */
static void default_do(int signal, const siginfo_t *info)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigaction(signal, &plain, NULL);
    if (info->si_code <= 0) SYS3(SYS_tgkill, os_process_id(), os_thread_id(), signal);
}

static void segv_pass(const struct sigaction *to, int signal, siginfo_t *info, void *context)
{
    sigset_t mask = ((const ucontext_t *)context)->uc_sigmask;
    sigorset(&mask, &mask, &to->sa_mask);
    if (!(to->sa_flags & SA_NODEFER)) sigaddset(&mask, signal);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (to->sa_flags & SA_SIGINFO)
        to->sa_sigaction(signal, info, context);
    else
        to->sa_handler(signal);
}

static void pass_on(int signal, siginfo_t *info, void *context)
{
    struct sigaction *to = is_nested() ? &faults.first : &faults.before, copy = *to;
    bool plain = !(copy.sa_flags & SA_SIGINFO);
    if (plain && copy.sa_handler == SIG_IGN && info->si_code <= 0) return;
    if (plain && (copy.sa_handler == SIG_DFL || copy.sa_handler == SIG_IGN)) {
        default_do(signal, info);
        return;
    }
    if (copy.sa_flags & (int)SA_RESETHAND) *to = (struct sigaction){.sa_handler = SIG_DFL};
    segv_pass(&copy, signal, info, context);
}

static void on_segv(int signal, siginfo_t *info, void *context)
{
    if (!os_watch_fault(info)) pass_on(signal, info, context);
}

static bool segv_is_ours(struct sigaction *now)
{
    sigaction(SIGSEGV, NULL, now);
    return now->sa_flags & SA_SIGINFO && now->sa_sigaction == on_segv;
}

static bool segv_install(void)
{
    struct sigaction now, ours = {.sa_sigaction = on_segv};
    if (segv_is_ours(&now)) return true;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (now.sa_flags & SA_RESTART);
    sigfillset(&ours.sa_mask);
    if (!faults.installed) faults.first = now;
    faults.before = now;
    faults.installed = true;
    return sigaction(SIGSEGV, &ours, NULL) == 0;
}

/* ---- threads that block the signal ------------------------------------------------------------------- */

struct entry { /* the kernel's linux_dirent64 */
    uint64_t inode, offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

/* The mask in "SigBlk:\t0123456789abcdef". */
static uint64_t status_blocked(const char *text, size_t size)
{
    static const char word[] = "SigBlk:\t";
    uint64_t mask = 0;
    for (size_t at = 0, digits = sizeof word - 1; at + digits + 16 <= size; at++) {
        if (__builtin_memcmp(text + at, word, digits) != 0) continue;
        for (unsigned i = 0; i < 16; i++) {
            unsigned c = (unsigned char)text[at + digits + i];
            mask = mask << 4 | (c <= '9' ? c - '0' : c - 'a' + 10);
        }
        return mask;
    }
    return 0;
}

/* It blocks SIGSEGV, but not what only those block that libc does not know, or is just making: they touch no object. */
static bool task_blocks(int tasks, const char *name)
{
    char text[2048], path[32];
    size_t length = 0, size = 0;
    while (name[length] && length < sizeof path - 8) path[length] = name[length], length++;
    __builtin_memcpy(path + length, "/status", 8);
    int fd = (int)SYS4(SYS_openat, tasks, path, 0, 0);
    if (fd < 0) return false; /* it has ended */
    for (long got; size < sizeof text; size += (size_t)got)
        if ((got = SYS3(SYS_read, fd, text + size, sizeof text - size)) <= 0) break;
    SYS1(SYS_close, fd);
    uint64_t blocked = status_blocked(text, size), libc = 1ull << 31;
    return blocked >> (SIGSEGV - 1) & 1 && !(blocked & libc);
}

static bool some_thread_blocks(void)
{
    char room[2048] __attribute__((aligned(8)));
    bool blocks = false;
    int tasks = os_file_open("/proc/self/task");
    if (tasks < 0) return true;
    for (long got; !blocks && (got = SYS3(SYS_getdents64, tasks, room, sizeof room)) > 0;)
        for (long at = 0; !blocks && at < got;) {
            const struct entry *entry = (const struct entry *)(room + at);
            if (entry->name[0] != '.') blocks = task_blocks(tasks, entry->name);
            at += entry->length;
        }
    os_file_close(tasks);
    return blocks;
}

/* ---- the contract -------------------------------------------------------------------------------------- */

bool faults_open(void)
{
    return segv_install();
}

void faults_close(void)
{
    struct sigaction now;
    faults_end();
    STORE(&faults.end, 0);
    if (!faults.installed || !segv_is_ours(&now)) return;
    sigaction(SIGSEGV, &faults.before, NULL);
    faults.installed = false;
}

bool faults_add(uintptr_t start, size_t size)
{
    size_t states = base_round_up(size / GRAIN + 1, 64 * KIB);
    void *state = os_vm_reserve(states, 64 * KIB);
    if (state == NULL) return false;
    atomic_store(&faults.end, 0);
    if (faults.state)
        os_vm_release((void *)faults.state,
                      base_round_up((faults.added_end - faults.added) / GRAIN + 1, 64 * KIB));
    faults.state = state;
    faults.added = start;
    faults.added_end = start + size;
    faults.committed = 0;
    return true;
}

static bool states_commit(size_t bytes)
{
    bytes = base_round_up(bytes, 64 * KIB);
    if (bytes <= faults.committed) return true;
    char *from = (char *)faults.state + faults.committed;
    if (!os_vm_commit(from, bytes - faults.committed)) return false;
    faults.committed = bytes;
    return true;
}

bool faults_begin(uintptr_t start, uintptr_t end)
{
    faults_end();
    if (start < faults.added || end > faults.added_end) return false;
    if (!states_commit((end - faults.added) / GRAIN + 1)) return false;
    for (uintptr_t p = start; p < end; p += GRAIN)
        (void)grain_turn(grain_of(p), GRAIN_PROTECTED, GRAIN_WRITTEN);
    if (!segv_install() || some_thread_blocks()) {
        atomic_store(&faults.end, 0);
        return false;
    }
    faults.over = false;
    atomic_store(&faults.start, start);
    atomic_store(&faults.end, end);
    return true;
}

void faults_again(uintptr_t start, uintptr_t end)
{
    start = base_max(start, LOAD(&faults.start) + GRAIN);
    end = base_min(end, LOAD(&faults.end) - GRAIN);
    if (faults.over || start >= end) return;
    uintptr_t stop = start;
    while (stop < end && grain_turn(grain_of(stop), GRAIN_WRITTEN, GRAIN_CHANGING)) stop += GRAIN;
    if (stop == start) return;
    if (protect(start, stop, PROT_READ))
        grains_set(start, stop, GRAIN_PROTECTED);
    else
        grains_free(start, stop); /* some of it may be protected */
}

void faults_end(void)
{
    uintptr_t start = LOAD(&faults.start), end = LOAD(&faults.end);
    faults.over = true;
    for (uintptr_t p = start, stop; p < end; p = stop + GRAIN) {
        stop = p;
        while (stop < end && LOAD(grain_of(stop)) == GRAIN_PROTECTED) stop += GRAIN;
        if (stop > p && NEVER(!protect(p, stop, PROT_READ | PROT_WRITE)))
            CHECK(protect(start, end, PROT_READ | PROT_WRITE));
    }
}

size_t faults_take(uintptr_t *from, uintptr_t end, struct os_range *ranges, size_t most)
{
    size_t count = 0;
    uintptr_t watched = LOAD(&faults.end);
    for (uintptr_t p = *from; p < end; p += GRAIN, *from = p) {
        if (p < watched && LOAD(grain_of(p)) == GRAIN_PROTECTED) continue;
        if (count > 0 && ranges[count - 1].end == p) {
            ranges[count - 1].end += GRAIN;
            continue;
        }
        if (count == most) return count;
        ranges[count++] = (struct os_range){p, p + GRAIN};
    }
    return count;
}
