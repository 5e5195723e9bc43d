/*
 * See sample_watch.h. The helper:
 *
 *     none --begin--> starting --registered--> serving --nothing watched for two rounds--> none
 *                        `--refused--> none, and never again
 *
 * It has a table of file descriptors of its own, so that the program, which may close what it does not know,
 * never has the one that matters in its hands, nor do its children. When the helper ends, for whatever
 * reason, the kernel lets all go that wait, and missing pages are plain zeros again.
 */
#include "hard/sample_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/format.h"
#include "base/syscall.h"
#include "hard/sample.h"
#include "os/guard.h"

/* Younger than Debian 12's headers; the numbers are the kernel's ABI. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

enum { WATCHER_STACK = 16 << 10, WATCHER_NAP_MS = 500, WATCHER_QUIET = 2 };
enum watcher_state { WATCHER_NONE, WATCHER_STARTING, WATCHER_SERVES, WATCHER_REFUSED };

static struct {
    struct lock lock;
    enum sample_uninit wish;
    uintptr_t start, end;
    size_t page;
    _Atomic uint32_t state; /* enum watcher_state */
    _Atomic uint32_t live;  /* watched blocks */
    _Atomic int alive;      /* the stack is in use */
    bool user_only;         /* faults in the kernel never come here */
    int fd;                 /* in the helper's own table */
} watcher = {.fd = -1};

/* What is copied to missing pages: as large as a page may be. */
static uint8_t watcher_page[64 << 10] __attribute__((aligned(64)));
static char watcher_stack[WATCHER_STACK] __attribute__((aligned(64)));

/* ---- userfaultfd ------------------------------------------------------------------------------------------ */

static long uffd_new(enum sample_uninit wish)
{
    long fd = SYS1(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (!base_syscall_failed(fd)) return fd;
    long device = SYS4(SYS_openat, AT_FDCWD, "/dev/userfaultfd", O_RDWR | O_CLOEXEC, 0);
    if (!base_syscall_failed(device)) {
        fd = SYS3(SYS_ioctl, device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
        SYS1(SYS_close, device);
    }
    watcher.user_only = base_syscall_failed(fd) && wish == UNINIT_USER;
    if (watcher.user_only) fd = SYS1(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    return fd;
}

static int uffd_open(enum sample_uninit wish)
{
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_THREAD_ID};
    long fd = uffd_new(wish);
    if (base_syscall_failed(fd)) return -1;
    if (SYS3(SYS_ioctl, fd, UFFDIO_API, &api) == 0) return (int)fd;
    SYS1(SYS_close, fd);
    return -1;
}

static bool uffd_register(void)
{
    struct uffdio_register memory = {.range = {watcher.start, watcher.end - watcher.start},
                                     .mode = UFFDIO_REGISTER_MODE_MISSING};
    return SYS3(SYS_ioctl, watcher.fd, UFFDIO_REGISTER, &memory) == 0;
}

/* A page as the program should find it: zeros, and the edges of its block. */
static void page_fill(uintptr_t page)
{
    const struct sample_block *block = sample_find((void *)page);
    bool live = block && hard_state(LOAD(&block->word)) == SLOT_LIVE;
    memset(watcher_page, 0, watcher.page);
    if (live) sample_edges(block, page, watcher_page);
    struct uffdio_copy copy = {.dst = page, .src = (uintptr_t)watcher_page, .len = watcher.page};
    struct uffdio_range wake = {page, watcher.page};
    if (SYS3(SYS_ioctl, watcher.fd, UFFDIO_COPY, &copy) != 0)
        SYS3(SYS_ioctl, watcher.fd, UFFDIO_WAKE,
             &wake); /* it is there already, or guarded: meet it again */
}

/* ---- the helper's work --------------------------------------------------------------------------------------- */

/* Whether a thread of ours met the fault in its own code, and not in a system call or in another process, whose
 * debugger it may be: "-1 SP PC" against "NR arguments SP PC". Until it sleeps it is said to run. */
static bool met_in_program(uint32_t thread)
{
    enum { TRIES = 200 };
    char path[64], said[8] = "r";
    struct text t = TEXT(path);
    text_str(&t, "/proc/self/task/");
    text_dec(&t, thread);
    text_str(&t, "/syscall");
    text_end(&t);
    if (watcher.user_only) return true;
    for (int i = 0; i < TRIES && said[0] == 'r'; i++) {
        int fd = os_file_open(path);
        if (fd < 0) return false;
        if (os_file_read(fd, said, sizeof said) <= 0) said[0] = 0;
        os_file_close(fd);
        if (said[0] == 'r') SYS0(SYS_sched_yield);
    }
    return said[0] == '-';
}

/* The page shall fault, for the handler of faults to tell; a system call that reads is let go on. */
static void on_read(uintptr_t page, uint32_t thread)
{
    struct sample_block *block = (struct sample_block *)sample_find((void *)page);
    bool tell = block && block->watched && !LOAD(&block->may_be_read) &&
                hard_state(LOAD(&block->word)) == SLOT_LIVE && met_in_program(thread);
    if (tell) {
        struct uffdio_range wake = {page, watcher.page};
        STORE_RELEASE(&block->was_read, 1); /* before the page faults; read by sample_explain */
        if (os_vm_guard((void *)page, watcher.page)) {
            SYS3(SYS_ioctl, watcher.fd, UFFDIO_WAKE, &wake);
            return;
        }
    }
    page_fill(page);
}

static void serve(void)
{
    struct uffd_msg message;
    while (SYS3(SYS_read, watcher.fd, &message, sizeof message) == sizeof message) {
        if (message.event != UFFD_EVENT_PAGEFAULT) continue;
        uintptr_t page = base_round_down(message.arg.pagefault.address, watcher.page);
        if (message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE)
            page_fill(page);
        else
            on_read(page, message.arg.pagefault.feat.ptid);
    }
}

/* Nobody may begin while it is decided to end; who is at it will be seen in the next round. */
static bool may_end(void)
{
    if (!lock_try(&watcher.lock)) return false;
    uint32_t serves = WATCHER_SERVES;
    bool end = LOAD(&watcher.live) == 0;
    if (end) atomic_compare_exchange_strong(&watcher.state, &serves, WATCHER_NONE);
    lock_give(&watcher.lock);
    return end;
}

/* Whether the helper has to go at once: another user's process now, in which the next block starts another, or told
 * to by sample_watch_stop. */
static bool must_end(void)
{
    uint32_t serves = WATCHER_SERVES;
    if (LOAD(&watcher.state) == WATCHER_REFUSED) return true;
    if (os_helper_is_current()) return false;
    atomic_compare_exchange_strong(&watcher.state, &serves, WATCHER_NONE);
    return true;
}

static void serve_until_quiet(void)
{
    for (int quiet = 0; quiet < WATCHER_QUIET || !may_end();) {
        struct pollfd ready = {.fd = watcher.fd, .events = POLLIN};
        struct timespec nap = {.tv_nsec = WATCHER_NAP_MS * 1000000L};
        long n = SYS5(SYS_ppoll, &ready, 1, &nap, NULL, 8);
        if (n > 0) serve();
        quiet = n == 0 && LOAD(&watcher.live) == 0 ? quiet + 1 : 0;
        if (must_end()) return;
    }
}

/* With descriptors of its own, of which it keeps none. */
static bool watcher_prepare(void)
{
    if (SYS1(SYS_unshare, CLONE_FILES) != 0) return false;
    if (SYS3(SYS_close_range, 0, ~0u, 0) != 0) return false;
    watcher.fd = uffd_open(watcher.wish);
    return watcher.fd >= 0 && uffd_register();
}

/* It has no thread control block of libc's, which ASan would look for at its end. */
__attribute__((no_sanitize("address"))) static void watcher_main(void *unused)
{
    (void)unused;
    uint32_t starting = WATCHER_STARTING;
    bool prepared = watcher_prepare();
    if (!atomic_compare_exchange_strong(&watcher.state, &starting,
                                        prepared ? WATCHER_SERVES : WATCHER_REFUSED))
        prepared = false; /* sample_watch_stop came in between */
    os_wake(&watcher.state);
    if (prepared) serve_until_quiet();
    os_helper_exit();
}

/* ---- for sample.c ------------------------------------------------------------------------------------------------ */

/* Holds: the lock. */
static void watcher_start(void)
{
    if (atomic_load_explicit(&watcher.alive, memory_order_acquire)) return; /* not quite gone */
    STORE(&watcher.state, WATCHER_STARTING);
    if (!os_helper_start(watcher_main, NULL, watcher_stack, sizeof watcher_stack, &watcher.alive))
        STORE(&watcher.state, WATCHER_REFUSED);
    for (int ms = 0; ms < 1000 && LOAD(&watcher.state) == WATCHER_STARTING; ms++)
        os_wait(&watcher.state, WATCHER_STARTING, 1);
}

bool sample_watch_begin(void)
{
    if (LOAD(&watcher.state) == WATCHER_REFUSED) return false;
    lock_take(&watcher.lock);
    if (LOAD(&watcher.state) == WATCHER_NONE) watcher_start();
    bool serves = LOAD_ACQUIRE(&watcher.state) == WATCHER_SERVES; /* pairs with watcher_main */
    if (serves) atomic_fetch_add(&watcher.live, 1);
    lock_give(&watcher.lock);
    return serves;
}

void sample_watch_end(void)
{
    if (LOAD(&watcher.live)) atomic_fetch_sub(&watcher.live, 1);
}

bool sample_watch_start(enum sample_uninit wish, uintptr_t start, uintptr_t end)
{
    int fd = uffd_open(wish);
    if (fd < 0) return false;
    SYS1(SYS_close, fd);
    watcher.wish = wish;
    watcher.start = start;
    watcher.end = end;
    watcher.page = os_page_size();
    return true;
}

/* It looks every half second; as long as one thread may wait here once in a process's life. */
void sample_watch_stop(void)
{
    static _Atomic uint32_t never;
    STORE(&watcher.state, WATCHER_REFUSED);
    while (atomic_load_explicit(&watcher.alive, memory_order_acquire)) os_wait(&never, 0, 1);
}

void sample_watch_fork_child(void)
{
    lock_reset(&watcher.lock);
    STORE(&watcher.live, 0);
    STORE(&watcher.alive, 0);
    if (LOAD(&watcher.state) != WATCHER_REFUSED) STORE(&watcher.state, WATCHER_NONE);
}
