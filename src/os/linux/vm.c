/* os.h's memory calls on Linux. */
#include <linux/mman.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/syscall.h"
#include "os/os.h"

/* Younger than Debian 12's headers, or absent from them; the numbers are the kernel's ABI. */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* Maps more than asked and returns what is over, since the kernel aligns to pages only. */
void *os_vm_reserve(size_t size, size_t align)
{
    long mapped = SYS6(SYS_mmap, NULL, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base_syscall_failed(mapped)) return NULL;
    char *p = (char *)mapped, *start = (char *)base_round_up((size_t)p, align);
    os_vm_release(p, (size_t)(start - p));
    os_vm_release(start + size, (size_t)(p + align - start));
    return start;
}

bool os_vm_readable(void *p, size_t size)
{
    return SYS3(SYS_mprotect, p, size, PROT_READ) == 0;
}

bool os_vm_commit(void *p, size_t size)
{
    return SYS3(SYS_mprotect, p, size, PROT_READ | PROT_WRITE) == 0;
}

bool os_vm_purge(void *p, size_t size)
{
    return SYS3(SYS_madvise, p, size, MADV_DONTNEED) == 0;
}

void os_vm_release(void *p, size_t size)
{
    if (size > 0) SYS2(SYS_munmap, p, size);
}

bool os_vm_move(void *to, void *from, size_t size)
{
    long p =
        SYS5(SYS_mremap, from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
    if (p == (long)to) return true;
    /* The kernel may have unmapped the target before it found that it cannot move (a source of several
     * mappings before 6.17, no memory for page tables): is there a hole, put the target back. */
    if (os_vm_commit(to, size)) return false;
    long flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    p = SYS6(SYS_mmap, to, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    CHECK(p == (long)to);
    return false;
}

void os_vm_populate(void *p, size_t size)
{
    SYS3(SYS_madvise, p, size, MADV_POPULATE_WRITE);
}

void os_vm_dump(void *p, size_t size, bool yes)
{
    SYS3(SYS_madvise, p, size, yes ? MADV_DODUMP : MADV_DONTDUMP);
}

void os_vm_name(void *p, size_t size, const char *name)
{
    SYS5(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, size, name);
}

/* The first field of /proc/self/statm: pages of address space in use. */
static size_t vm_mapped_bytes(void)
{
    char text[32] = {0};
    int fd = os_file_open("/proc/self/statm");
    if (fd < 0) return 0;
    os_file_read(fd, text, sizeof text - 1);
    os_file_close(fd);
    size_t pages = 0;
    for (const char *c = text; *c >= '0' && *c <= '9'; c++) pages = pages * 10 + (size_t)(*c - '0');
    return pages * os_page_size();
}

size_t os_vm_address_space_left(void)
{
    struct rlimit limit;
    if (SYS4(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit) != 0) return SIZE_MAX;
    if (limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
    size_t used = vm_mapped_bytes();
    return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}
