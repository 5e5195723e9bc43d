/*
 * Filters of the forms that libseccomp, systemd and Chromium make, against calls.
 *
 * What could break: a filter that ends the process for a call is taken for one that lets it pass.
 */
#include <linux/audit.h>

#include "../../cli/filter.h"
#include "kit/unit.h"

#define ALLOW SECCOMP_RET_ALLOW
#define KILL SECCOMP_RET_KILL_PROCESS
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF(test, k, then, otherwise) BPF_JUMP(BPF_JMP | (test) | BPF_K, k, then, otherwise)
#define ANSWER(k) BPF_STMT(BPF_RET | BPF_K, k)

static unsigned answer(const struct sock_filter *rules, size_t count, int number)
{
    struct seccomp_data call = {.nr = number, .arch = AUDIT_ARCH_X86_64, .args = {1, 0x80000003}};
    return filter_run(rules, count, &call);
}

static void test_filter__list_of_numbers(void **state)
{
    const struct sock_filter rules[] = {
        LOAD(arch),           IF(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0),
        ANSWER(KILL),         LOAD(nr),
        IF(BPF_JEQ, 7, 2, 0), IF(BPF_JEQ, 219, 1, 0),
        ANSWER(KILL),         ANSWER(ALLOW),
    };
    assert_int_equal(answer(rules, COUNT_OF(rules), 7), ALLOW);
    assert_int_equal(answer(rules, COUNT_OF(rules), 219), ALLOW);
    assert_int_equal(answer(rules, COUNT_OF(rules), 35), KILL);
    (void)state;
}

static void test_filter__tree_of_ranges(void **state)
{
    const struct sock_filter rules[] = {
        LOAD(nr),     IF(BPF_JGE, 100, 0, 3), IF(BPF_JGT, 219, 1, 0), BPF_STMT(BPF_JMP | BPF_JA, 2),
        ANSWER(KILL), IF(BPF_JSET, 1, 0, 1),  ANSWER(ALLOW),          ANSWER(SECCOMP_RET_ERRNO | 1),
    };
    assert_int_equal(answer(rules, COUNT_OF(rules), 219), ALLOW);
    assert_int_equal(answer(rules, COUNT_OF(rules), 220), KILL);
    assert_int_equal(answer(rules, COUNT_OF(rules), 7), ALLOW);
    assert_int_equal(answer(rules, COUNT_OF(rules), 8), SECCOMP_RET_ERRNO | 1);
    (void)state;
}

static void test_filter__sums_and_memory(void **state)
{
    const struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
        BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 2), /* 12 */
        BPF_STMT(BPF_ST, 3),
        LOAD(nr),
        BPF_STMT(BPF_LDX | BPF_W | BPF_MEM, 3),
        BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_LD | BPF_IMM, 207),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1),
        ANSWER(ALLOW),
        BPF_STMT(BPF_MISC | BPF_TXA, 0),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    assert_int_equal(answer(rules, COUNT_OF(rules), 219), ALLOW);
    assert_int_equal(answer(rules, COUNT_OF(rules), 20), 8);
    (void)state;
}

static void test_filter__without_an_end_kills(void **state)
{
    const struct sock_filter rules[] = {LOAD(nr), BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX)};
    assert_int_equal(answer(rules, COUNT_OF(rules), 1), KILL);
    assert_int_equal(answer(rules, 0, 1), KILL);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter__list_of_numbers),
        cmocka_unit_test(test_filter__tree_of_ranges),
        cmocka_unit_test(test_filter__sums_and_memory),
        cmocka_unit_test(test_filter__without_an_end_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
