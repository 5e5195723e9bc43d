/* What is no block, by name. See why.h. */
#include <stdio.h>
#include <string.h>

#include "why.h"

/* Thread-local storage of the modules that were there at the start lies below the thread's descriptor on
 * x86-64, above it on aarch64; the descriptor itself is some 2,300 bytes. */
enum { RED_ZONE = 128, DESCRIPTOR = 2304, WORDS_X86_64 = 27 };

const char *why_kind_name(enum why_kind kind)
{
    static const char *const names[] = {
        [WHY_IS_STATIC] = "static",         [WHY_IS_STACK] = "stack",
        [WHY_IS_DEAD_STACK] = "dead_stack", [WHY_IS_TLS] = "tls",
        [WHY_IS_REGISTER] = "register",     [WHY_IS_KERNEL] = "kernel",
        [WHY_IS_MAPPING] = "mapping",       [WHY_IS_NOTHING] = "nothing",
    };
    return names[kind];
}

/* ---- registers ------------------------------------------------------------------------------ */

static void name_register(char *text, size_t capacity, size_t words, size_t index)
{
    static const char *const names[WORDS_X86_64] = {
        "r15",    "r14", "r13", "r12",     "rbp",     "rbx", "r11",      "r10", "r9",
        "r8",     "rax", "rcx", "rdx",     "rsi",     "rdi", "orig_rax", "rip", "cs",
        "eflags", "rsp", "ss",  "fs_base", "gs_base", "ds",  "es",       "fs",  "gs"};
    if (words == WORDS_X86_64 && index < WORDS_X86_64)
        snprintf(text, capacity, "%s", names[index]);
    else
        snprintf(text, capacity, index == 31 ? "sp" : index == 32 ? "pc" : "x%zu", index);
}

static struct why_place tagged(const struct leaks *l, uint64_t tag)
{
    struct why_place p = {.kind = WHY_IS_KERNEL};
    size_t index = (size_t)(tag & 0xff), at = (size_t)(tag & ~(WHY_REGISTER | WHY_VECTOR));
    if (tag & WHY_REGISTER) at = at >> 8;
    if (tag & WHY_KERNEL || at >= l->image.thread_count) {
        snprintf(p.text, sizeof p.text,
                 "the kernel, which keeps it for the process (epoll, timers, robust lists ...)");
        return p;
    }
    const struct image_thread *t = &l->image.threads[at];
    p.thread = t->tid;
    p.kind = tag & WHY_REGISTER ? WHY_IS_REGISTER : WHY_IS_TLS;
    char name[16];
    name_register(name, sizeof name, t->registers.count, index);
    if (tag & WHY_REGISTER)
        snprintf(p.text, sizeof p.text, "register %s of thread %d", name, (int)t->tid);
    else
        snprintf(p.text, sizeof p.text, "the vector of thread-local storage of thread %d",
                 (int)t->tid);
    return p;
}

/* ---- threads -------------------------------------------------------------------------------- */

static uint64_t tls_bytes(const struct leaks *l)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < l->file_count; i++) {
        const struct elf_image *image = l->files[i].image;
        for (size_t j = 0; image && j < image->segments; j++) {
            GElf_Phdr header;
            if (!gelf_getphdr(image->elf, (int)j, &header) || header.p_type != PT_TLS) continue;
            if (header.p_memsz < 1 << 24 && header.p_align < 1 << 20)
                bytes += header.p_memsz + header.p_align;
        }
    }
    return bytes;
}

static bool in_tls(const struct leaks *l, const struct image_thread *t, uint64_t address,
                   struct why_place *p)
{
    uint64_t at = t->registers.thread_pointer, bytes = tls_bytes(l);
    bool below = t->registers.count == WORDS_X86_64;
    uint64_t low = below ? bytes : DESCRIPTOR, high = below ? DESCRIPTOR : bytes + 16;
    if (at == 0 || at < low || address < at - low || address - (at - low) >= low + high)
        return false;
    bool storage = (address < at) == below;
    *p = (struct why_place){.kind = WHY_IS_TLS, .thread = t->tid};
    snprintf(p->text, sizeof p->text, "%s of thread %d, at its pointer %c 0x%llx",
             storage ? "thread-local storage" : "the C library's descriptor", (int)t->tid,
             address < at ? '-' : '+',
             (unsigned long long)(address < at ? at - address : address - at));
    return true;
}

static bool in_stack(const struct leaks *l, const struct image_thread *t, uint64_t address,
                     struct why_place *p)
{
    uint64_t sp = t->registers.stack_pointer;
    const struct mapping *m = maps_find(&l->image.maps, sp);
    if (!m || address < m->start || address >= m->end) return false;
    bool live = address + RED_ZONE >= sp;
    *p = (struct why_place){.kind = live ? WHY_IS_STACK : WHY_IS_DEAD_STACK, .thread = t->tid};
    snprintf(p->text, sizeof p->text, "the %sstack of thread %d, at its pointer %c 0x%llx",
             live ? "" : "dead part of the ", (int)t->tid, address < sp ? '-' : '+',
             (unsigned long long)(address < sp ? sp - address : address - sp));
    return true;
}

static bool of_thread(const struct leaks *l, uint64_t address, struct why_place *p)
{
    for (size_t i = 0; i < l->image.thread_count; i++) {
        if (in_tls(l, &l->image.threads[i], address, p)) return true;
    }
    for (size_t i = 0; i < l->image.thread_count; i++) {
        if (in_stack(l, &l->image.threads[i], address, p)) return true;
    }
    return false;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static struct why_place of_mapping(const struct leaks *l, uint64_t address)
{
    char clean[200];
    const struct mapping *m = maps_find(&l->image.maps, address);
    struct why_place p = {.kind = m ? WHY_IS_MAPPING : WHY_IS_NOTHING};
    if (!m) {
        snprintf(p.text, sizeof p.text, "not mapped");
        return p;
    }
    human_clean(clean, sizeof clean, m->path);
    snprintf(p.text, sizeof p.text, "%s, 0x%llx bytes into the mapping at 0x%llx",
             *clean ? clean : "anonymous memory", (unsigned long long)(address - m->start),
             (unsigned long long)m->start);
    return p;
}

struct why_place why_place_of(const struct leaks *l, uint64_t address)
{
    struct why_place p = {.kind = WHY_IS_STATIC};
    char name[220];
    if (of_thread(l, address, &p)) return p;
    const struct mapping *m = maps_find(&l->image.maps, address);
    if (!m || !leaks_name_data(l, address, name, sizeof name)) return of_mapping(l, address);
    snprintf(p.text, sizeof p.text, "%s %s",
             m->writable ? "static data of" : "constants or code of", name);
    return p;
}

struct why_place why_root_of(const struct leaks *l, uint64_t tag)
{
    return tag & (WHY_REGISTER | WHY_VECTOR | WHY_KERNEL) ? tagged(l, tag) : why_place_of(l, tag);
}
