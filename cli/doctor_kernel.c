/*
 * What the kernel can do, by trying it: in a container or an emulated kernel the version number says
 * little, a seccomp filter may forbid what the kernel has, and some kernels report success for what
 * they do not do. What changes the whole process is tried in a child.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doctor.h"
#include "file.h"

/* From newer kernels' headers than some of those that this is built with. */
enum { ADVICE_GUARD_INSTALL = 102, VMA_NAME = 0x53564d41, VMA_NAME_ANONYMOUS = 0 };

struct scan_argument { /* struct pm_scan_arg of linux/fs.h */
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN_CALL _IOWR('f', 16, struct scan_argument)
#define PAGE_IS_SOFT_DIRTY (1ull << 55)

static char *page_map(void)
{
    void *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? NULL : page;
}

static void page_unmap(char *page)
{
    munmap(page, (size_t)sysconf(_SC_PAGESIZE));
}

/* Runs a test in a child: its exit status, or -1. */
static int in_child(int (*test)(char *page), char *page)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) _exit(test(page));
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return -1;
    return WEXITSTATUS(status);
}

/* ---- soft-dirty ------------------------------------------------------------------------------- */

enum { SOFT_DIRTY_WORKS, SOFT_DIRTY_REFUSED, SOFT_DIRTY_LIES };

static bool is_soft_dirty(int pagemap, const char *page)
{
    uint64_t entry = 0, at = (uintptr_t)page / (uint64_t)sysconf(_SC_PAGESIZE) * sizeof entry;
    return pread(pagemap, &entry, sizeof entry, (off_t)at) == sizeof entry &&
           entry & PAGE_IS_SOFT_DIRTY;
}

/* Cleared, a page must read as clean; written to, as dirty again. */
static int try_soft_dirty(char *page)
{
    int clear = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    *(volatile char *)page = 1;
    if (clear < 0 || pagemap < 0 || write(clear, "4", 1) != 1) return SOFT_DIRTY_REFUSED;
    bool before = is_soft_dirty(pagemap, page);
    *(volatile char *)page = 2;
    return !before && is_soft_dirty(pagemap, page) ? SOFT_DIRTY_WORKS : SOFT_DIRTY_LIES;
}

static void check_soft_dirty(struct doctor *d, char *page)
{
    int result = in_child(try_soft_dirty, page);
    doctor_find(d, result == SOFT_DIRTY_WORKS ? LEVEL_OK : LEVEL_NOTE, "soft-dirty pages",
                "tools that track changed pages by it (CRIU, some profilers) see none",
                "a kernel with CONFIG_MEM_SOFT_DIRTY; Freehold does not need it", "%s",
                result == SOFT_DIRTY_WORKS     ? "work"
                : result == SOFT_DIRTY_REFUSED ? "not permitted"
                                               : "accepted, but the bits do not follow");
}

/* ---- calls ------------------------------------------------------------------------------------ */

static void check_call(struct doctor *d, bool works, const char *what, const char *so_what,
                       const char *remedy)
{
    doctor_find(d, works ? LEVEL_OK : LEVEL_NOTE, what, so_what, remedy, "%s",
                works ? "works" : "not here");
}

static void check_names(struct doctor *d, char *page)
{
    bool works = prctl(VMA_NAME, VMA_NAME_ANONYMOUS, page, sysconf(_SC_PAGESIZE), "freehold") == 0;
    check_call(d, works, "names for memory (PR_SET_VMA)",
               "/proc/PID/maps and pmap do not say which memory is Freehold's",
               "a kernel of 5.17 or later with CONFIG_ANON_VMA_NAME");
}

static void check_guards(struct doctor *d, char *page)
{
    bool works = madvise(page, (size_t)sysconf(_SC_PAGESIZE), ADVICE_GUARD_INSTALL) == 0;
    check_call(d, works, "light guard pages (MADV_GUARD_INSTALL)",
               "each guard page costs a mapping of vm.max_map_count", "a kernel of 6.13 or later");
}

static void check_scan(struct doctor *d, const char *page)
{
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t start = (uintptr_t)page;
    struct scan_argument argument = {
        .size = sizeof argument, .start = start, .end = start + (uint64_t)sysconf(_SC_PAGESIZE)};
    bool works = fd >= 0 && ioctl(fd, PAGEMAP_SCAN_CALL, &argument) >= 0;
    if (fd >= 0) close(fd);
    check_call(d, works, "fast page scan (PAGEMAP_SCAN)",
               "finding the resident pages of a large heap reads eight bytes for each page",
               "a kernel of 6.7 or later");
}

static int try_remote_read(char *page)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {page, 1};
    return process_vm_readv(getppid(), &here, 1, &there, 1, 0) == 1 ? 0 : 1;
}

static void check_remote_read(struct doctor *d, char *page)
{
    bool works = in_child(try_remote_read, page) == 0;
    check_call(d, works, "reading another process (process_vm_readv)",
               "freehold which cannot read heaps, and falls back to the loader's rule for who owns "
               "malloc",
               "sudo, --cap-add SYS_PTRACE, or sudo sysctl kernel.yama.ptrace_scope=0");
}

static void check_userfaultfd(struct doctor *d)
{
    int64_t anybody = 0;
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    file_number("/proc/sys/vm/unprivileged_userfaultfd", &anybody);
    doctor_find(d, LEVEL_OK, "userfaultfd", NULL, NULL, "%s, unprivileged users %s",
                fd >= 0 ? "works" : "not for this user",
                anybody ? "too" : "only for their own faults");
    if (fd >= 0) close(fd);
}

void doctor_kernel(struct doctor *d)
{
    char *page = page_map();
    if (!page) return;
    bool pagemap = access("/proc/self/pagemap", F_OK) == 0;
    if (pagemap) check_soft_dirty(d, page);
    check_names(d, page);
    if (pagemap) check_scan(d, page);
    check_remote_read(d, page);
    check_guards(d, page); /* last: the page cannot be touched any more */
    check_userfaultfd(d);
    page_unmap(page);
}
