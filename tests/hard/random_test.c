/*
 * Random numbers of the hardened heap. What could break: the cipher, a key that is used twice, a child of a fork that
 * draws what its parent draws.
 */
#include "kit/unit.h"

#include <stdio.h>
#include <string.h>

#include "hard/random.h"

/* ChaCha with 8 rounds, key and nonce all zero: the first block (draft-strombergson-chacha-test-vectors, TC1). */
static const char first_block[] =
    "3e00ef2f895f40d67f5bb8e81f09a5a12c840ec3ce9a7f3b181be188ef711a1e"
    "984ce172b9216f419f445367456d5619314a42a3da86b001387bfdb80e0cfe42";

static struct random with_key_zero(void)
{
    struct random random = {.epoch = random_epoch};
    random_refill(&random);
    return random;
}

static void hex(const void *bytes, size_t size, char *text)
{
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", ((const unsigned char *)bytes)[i]);
}

static void block_is_chacha8(void **state)
{
    (void)state;
    char text[129];
    struct random random = with_key_zero();
    hex(random.key, 32, text); /* what comes first is the next key */
    hex(random.bytes, 32, text + 64);
    assert_string_equal(text, first_block);
    assert_int_equal(random.left, RANDOM_BYTES);
}

/* Each of the blocks of a refill is another one, and so is the next refill. */
static void blocks_differ(void **state)
{
    (void)state;
    struct random random = with_key_zero(), before = random;
    for (int a = 0; a + 32 <= RANDOM_BYTES; a += 32)
        for (int b = a + 32; b + 32 <= RANDOM_BYTES; b += 32)
            assert_memory_not_equal(random.bytes + a, random.bytes + b, 32);
    random_refill(&random);
    assert_memory_not_equal(random.key, before.key, sizeof random.key);
    assert_memory_not_equal(random.bytes, before.bytes, RANDOM_BYTES);
}

static void epoch_asks_the_kernel(void **state)
{
    (void)state;
    struct random random = with_key_zero(), same = random;
    random.epoch = same.epoch = random_epoch + 1; /* neither is of this epoch */
    random_refill(&random);
    random_refill(&same);
    assert_memory_not_equal(random.bytes, same.bytes, RANDOM_BYTES);
    assert_int_equal(random.epoch, random_epoch);
}

static void ready_is_enough(void **state)
{
    (void)state;
    struct random random = with_key_zero();
    random.left = 1;
    assert_false(random_is_ready(&random));
    random_ready(&random);
    assert_int_equal(random.left, RANDOM_BYTES);
    uint8_t last = random.bytes[RANDOM_BYTES - 1];
    assert_int_equal(random_byte_ready(&random), last);
    assert_int_equal(random.left, RANDOM_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_is_chacha8),
        cmocka_unit_test(blocks_differ),
        cmocka_unit_test(epoch_asks_the_kernel),
        cmocka_unit_test(ready_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
