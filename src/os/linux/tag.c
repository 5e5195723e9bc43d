/* os/tag.h on Linux. */
#include "os/tag.h"

#if defined(__aarch64__)

#include <sys/auxv.h>
#include <sys/mman.h>

#include "base/syscall.h"

/* Younger than some headers; the numbers are the kernel's ABI. */
#define CAPABILITY_MTE (1ul << 18)
#define SET_TAGGED_ADDRESSES 55
#define PROTECT_TAGGED 0x20
enum { TAGGED_ADDRESSES = 1, FAULT_AT_ONCE = 1 << 1 };

/* The assembler knows these of this architecture only; they are met on machines that have them alone. */
#define MEMTAG ".arch armv8.5-a+memtag\n\t"

bool os_tag_start(void)
{
    if (!(getauxval(AT_HWCAP2) & CAPABILITY_MTE)) return false;
    long flags = TAGGED_ADDRESSES | FAULT_AT_ONCE;
    return SYS5(SYS_prctl, SET_TAGGED_ADDRESSES, flags, 0, 0, 0) == 0;
}

bool os_tag_memory(void *p, size_t size)
{
    return SYS3(SYS_mprotect, p, size, PROT_READ | PROT_WRITE | PROTECT_TAGGED) == 0;
}

void os_tag_set(void *p, size_t size, unsigned tag)
{
    char *at = os_tag_with(p, tag), *end = at + size;
    for (; at < end; at += OS_TAG_GRANULE)
        __asm__ volatile(MEMTAG "stg %0, [%0]" ::"r"(at) : "memory");
}

unsigned os_tag_get(const void *p)
{
    uintptr_t tagged = (uintptr_t)p;
    __asm__ volatile(MEMTAG "ldg %0, [%1]" : "+r"(tagged) : "r"(p) : "memory");
    return os_tag_of((void *)tagged);
}

/* The flag TCO of the processor's state: no checks. */
void os_tag_check(bool yes)
{
    unsigned long tco = yes ? 0 : 1ul << 25;
    __asm__ volatile("msr s3_3_c4_c2_7, %0" ::"r"(tco) : "memory");
}

#else

bool os_tag_start(void)
{
    return false;
}

bool os_tag_memory(void *p, size_t size)
{
    (void)p, (void)size;
    return false;
}

void os_tag_set(void *p, size_t size, unsigned tag)
{
    (void)p, (void)size, (void)tag;
}

unsigned os_tag_get(const void *p)
{
    (void)p;
    return 0;
}

void os_tag_check(bool yes)
{
    (void)yes;
}

#endif
