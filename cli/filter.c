/* The classic BPF machine, as far as seccomp has it: words of the data, one accumulator, one index. See filter.h. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>

#include "filter.h"

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

struct bpf {
    uint32_t a, x, memory[BPF_MEMWORDS];
};

static uint32_t data_word(const struct seccomp_data *call, uint32_t offset)
{
    uint32_t word = 0;
    if (offset <= sizeof *call - sizeof word)
        memcpy(&word, (const char *)call + offset, sizeof word);
    return word;
}

static uint32_t load(const struct bpf *m, const struct sock_filter *rule,
                     const struct seccomp_data *call)
{
    switch (BPF_MODE(rule->code)) {
    case BPF_IMM: return rule->k;
    case BPF_ABS: return data_word(call, rule->k);
    case BPF_MEM: return m->memory[rule->k % BPF_MEMWORDS];
    case BPF_LEN: return sizeof *call;
    default: return 0;
    }
}

static uint32_t compute(uint32_t a, uint32_t operand, uint16_t code)
{
    switch (BPF_OP(code)) {
    case BPF_ADD: return a + operand;
    case BPF_SUB: return a - operand;
    case BPF_MUL: return a * operand;
    case BPF_DIV: return operand ? a / operand : 0;
    case BPF_OR: return a | operand;
    case BPF_AND: return a & operand;
    case BPF_XOR: return a ^ operand;
    case BPF_LSH: return a << (operand & 31);
    case BPF_RSH: return a >> (operand & 31);
    case BPF_NEG: return -a;
    default: return a;
    }
}

static uint32_t jump(uint32_t a, uint32_t operand, const struct sock_filter *rule)
{
    bool holds = false;
    switch (BPF_OP(rule->code)) {
    case BPF_JA: return rule->k;
    case BPF_JEQ: holds = a == operand; break;
    case BPF_JGT: holds = a > operand; break;
    case BPF_JGE: holds = a >= operand; break;
    case BPF_JSET: holds = (a & operand) != 0; break;
    }
    return holds ? rule->jt : rule->jf;
}

unsigned filter_run(const struct sock_filter *rules, size_t count, const struct seccomp_data *call)
{
    struct bpf m = {0};
    for (size_t at = 0; at < count; at++) { /* jumps go forward only */
        const struct sock_filter *rule = &rules[at];
        uint32_t operand = BPF_SRC(rule->code) == BPF_X ? m.x : rule->k;
        switch (BPF_CLASS(rule->code)) {
        case BPF_LD: m.a = load(&m, rule, call); break;
        case BPF_LDX: m.x = load(&m, rule, call); break;
        case BPF_ST: m.memory[rule->k % BPF_MEMWORDS] = m.a; break;
        case BPF_STX: m.memory[rule->k % BPF_MEMWORDS] = m.x; break;
        case BPF_ALU: m.a = compute(m.a, operand, rule->code); break;
        case BPF_JMP: at += jump(m.a, operand, rule); break;
        case BPF_RET: return BPF_RVAL(rule->code) == BPF_A ? m.a : rule->k;
        case BPF_MISC:
            if (BPF_MISCOP(rule->code) == BPF_TAX)
                m.x = m.a;
            else
                m.a = m.x;
            break;
        }
    }
    return SECCOMP_RET_KILL_PROCESS;
}

bool filter_allows(pid_t tid, const struct seccomp_data *call)
{
    static struct sock_filter rules[BPF_MAXINSNS];
    for (unsigned long i = 0;; i++) {
        long count = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, NULL);
        if (count < 0) return i > 0 && errno == ENOENT; /* there is no other */
        if (count > BPF_MAXINSNS || ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, rules) != count)
            return false;
        unsigned action = filter_run(rules, (size_t)count, call) & SECCOMP_RET_ACTION_FULL;
        if (action != SECCOMP_RET_ALLOW && action != SECCOMP_RET_LOG) return false;
    }
}
