/* The registers of either machine as words: cores may come from the other one. */
#include <string.h>

#include "machine.h"

static bool take(struct machine_registers *r, const void *block, size_t size, size_t words)
{
    *r = (struct machine_registers){.count = words};
    if (size < words * sizeof *r->word) return false;
    memcpy(r->word, block, words * sizeof *r->word);
    return true;
}

/* struct user_regs_struct: 27 words, rsp is the 20th, fs_base the 22nd. */
bool machine_take_x86_64(struct machine_registers *r, const void *block, size_t size)
{
    if (!take(r, block, size, 27)) return false;
    r->stack_pointer = r->word[19];
    r->program_counter = r->word[16];
    r->thread_pointer = r->word[21];
    return true;
}

/* struct user_pt_regs: x0 to x30, sp, pc, pstate. The thread pointer is a register set of its own. */
bool machine_take_aarch64(struct machine_registers *r, const void *block, size_t size)
{
    if (!take(r, block, size, 34)) return false;
    r->stack_pointer = r->word[31];
    r->program_counter = r->word[32];
    return true;
}
