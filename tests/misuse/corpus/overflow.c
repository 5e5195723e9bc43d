/*
 * A: writes and reads beyond a block. 256 blocks of one size are made and filled; the one between the
 * nearest two neighbours is the attacker's: an attacker who sprays gets it sooner or later. Unless a case
 * says otherwise the block's usable size is full, so that no slack absorbs anything, and the goal is that
 * data of another block is changed (or read).
 */
#include "corpus.h"

#include <stdio.h>
#include <unistd.h>

enum { FILL = 0x5a, EVIL = 0x41, MIB = 1 << 20 };

static size_t victim_index(void)
{
    size_t best = 1, least = SIZE_MAX;
    for (size_t i = 1; i + 1 < crowd.count; i++) {
        size_t reach = (size_t)((byte *)crowd.at[i + 1] - (byte *)crowd.at[i - 1]);
        if (reach < least) least = reach, best = i;
    }
    return best;
}

// Blocks of size bytes, filled with FILL; the one with the nearest neighbours is taken out of the crowd.
INLINE byte *among(size_t size, size_t count)
{
    crowd_take(&crowd, size, count);
    for (size_t i = 0; i < crowd.count; i++) fill(crowd.at[i], FILL, size);
    crowd_sort(&crowd);
    return crowd_pull(&crowd, victim_index());
}

// The same with a secret in all of them but one.
INLINE byte *among_secrets(size_t size, size_t count)
{
    byte *mine = among(size, count);
    for (size_t i = 0; i < crowd.count; i++) fill_words(crowd.at[i], SECRET, size);
    return mine;
}

static bool neighbour_changed(size_t size)
{
    for (size_t i = 0; i < crowd.count; i++)
        if (!filled_with(crowd.at[i], FILL, size)) return true;
    return false;
}

static void finish(byte *mine, size_t size)
{
    if (neighbour_changed(size)) goal("a neighbour's data is changed");
    drop(mine);
    crowd_drop(&crowd);
}

static void finish_reading(byte *mine, const void *read, size_t size)
{
    if (find_word(read, size, SECRET)) goal("a neighbour's secret is read");
    drop(mine);
    crowd_drop(&crowd);
}

// Writes from `from` bytes after the start on, upwards; the last byte written comes last.
static void write_on(byte *mine, ptrdiff_t from, size_t count, int value)
{
    for (volatile byte *at = mine + from; count--; at++) *at = (byte)value;
}

static void write_down(byte *mine, size_t count, int value)
{
    for (volatile byte *at = mine - 1; count--; at--) *at = (byte)value;
}

static byte copied[MIB];

static void read_on(byte *mine, ptrdiff_t from, size_t count)
{
    volatile byte *at = mine + from;
    for (size_t i = 0; i < count; i++) copied[i % sizeof copied] = at[i];
}

// What the attacker sends.
static const byte *payload(size_t size)
{
    static byte sent[MIB];
    fill(sent, EVIL, size);
    return sent;
}

INLINE void overflow(size_t size, size_t count, int value)
{
    byte *mine = among(size, 256);
    write_on(mine, (ptrdiff_t)usable(mine), count, value);
    finish(mine, size);
}

INLINE void underflow(size_t size, size_t count)
{
    byte *mine = among(size, 256);
    write_down(mine, count, EVIL);
    finish(mine, size);
}

// --- linear, in the program's own code -----------------------------------------------------------

void A01(void)
{
    overflow(64, 1, EVIL);
}

void A02(void)
{
    overflow(64, 1, 0);
}

void A03(void)
{
    overflow(64, 8, EVIL);
}

void A04(void)
{
    overflow(64, 16, EVIL);
}

void A05(void)
{
    overflow(64, 80, EVIL);
}

void A06(void)
{
    overflow(64, 4096, EVIL);
}

void A07(void)
{
    overflow(64, MIB, EVIL);
}

void A08(void)
{
    underflow(64, 1);
}

void A09(void)
{
    underflow(64, 24);
}

void A10(void)
{
    underflow(64, 80);
}

void A11(void)
{
    byte *mine = among_secrets(64, 256);
    read_on(mine, 64, 128);
    finish_reading(mine, copied, 128);
}

void A12(void)
{
    byte *mine = among_secrets(64, 4096);
    read_on(mine, 64, 65535);
    finish_reading(mine, copied, 65536);
}

void A13(void)
{
    byte *mine = among(MIB, 8);
    write_on(mine, MIB, 2 * 4096, EVIL);
    finish(mine, MIB);
}

void A14(void)
{
    byte *mine = among(MIB, 8);
    write_down(mine, 2 * 4096, EVIL);
    finish(mine, MIB);
}

void A15(void)
{
    overflow(20000, 256, EVIL);
}

// --- by the C library, told a wrong length -------------------------------------------------------

void A16(void)
{
    byte *mine = among(64, 256);
    memcpy(OPAQUE(mine), OPAQUE(payload(256)), OPAQUE((size_t)256));
    finish(mine, 64);
}

void A17(void)
{
    byte *mine = among(64, 256);
    memset(OPAQUE(mine), EVIL, OPAQUE((size_t)256));
    finish(mine, 64);
}

static const char *long_text(size_t length)
{
    char *text = (char *)payload(length + 1);
    text[length] = '\0';
    return text;
}

void A18(void)
{
    byte *mine = among(64, 256);
    strcpy((char *)OPAQUE(mine), OPAQUE(long_text(255)));
    finish(mine, 64);
}

void A19(void)
{
    byte *mine = among(64, 256);
    // An index from outside, over whatever lies between two blocks.
    size_t far = (size_t)((byte *)crowd.at[0] - mine);
    for (size_t i = 0; i < crowd.count; i++)
        if ((size_t)((byte *)crowd.at[i] - mine) < far) far = (size_t)((byte *)crowd.at[i] - mine);
    ((volatile byte *)mine)[far] = EVIL;
    finish(mine, 64);
}

void A20(void)
{
    byte *mine = take(OPAQUE((size_t)50));
    fill(mine, FILL, 50);
    // In most allocators this byte belongs to nobody.
    ((volatile byte *)mine)[50] = EVIL;
    drop(mine);
    goal("nobody noticed by the time the block was freed");
}

void A21(void)
{
    byte *mine = among_secrets(64, 256);
    memcpy(copied, OPAQUE(mine), OPAQUE((size_t)512));
    finish_reading(mine, copied, 512);
}

void A22(void)
{
    byte *mine = among(64, 256);
    crowd_thin(&crowd);
    write_on(mine, (ptrdiff_t)usable(mine), 80, EVIL);
    if (neighbour_changed(64)) goal("a neighbour's data is changed");
    crowd_drop(&crowd);
    crowd_take(&crowd, 64, 256);
    for (size_t i = 0; i < crowd.count; i++)
        if (filled_with((byte *)crowd.at[i] + 16, EVIL, 16))
            goal("a new block begins with our bytes");
    drop(mine);
    crowd_drop(&crowd);
}

void A23(void)
{
    byte *mine = among(264, 256);
    size_t room = usable(mine);
    for (size_t i = crowd.count; i-- > 0;)
        if ((byte *)crowd.at[i] > mine && (byte *)crowd.at[i] < mine + 4 * room)
            drop(crowd_pull(&crowd, i));
    write_on(mine, (ptrdiff_t)room, 1, 0);
    drop(mine);
    if (neighbour_changed(264)) goal("a neighbour's data is changed");
    crowd_drop(&crowd);
    goal("the terminating zero beyond a string went unnoticed");
}

// A text buffer, and objects with a function in them, of another type but the same size.
struct object {
    void (*act)(void);
    uint64_t data[7];
};

static void honest(void) {}

static void hijacked(void)
{
    goal("the attacker's function was called");
}

static __attribute__((noinline)) struct object *object_create(void)
{
    struct object *object = take(sizeof *object);
    object->act = honest;
    return object;
}

static __attribute__((noinline)) byte *text_create(size_t size)
{
    byte *text = take(size);
    fill(text, 0, size);
    return text;
}

// Texts and objects in turn; writes from the text that is nearest below an object.
static byte *text_before_object(size_t *distance)
{
    byte *nearest = NULL;
    *distance = SIZE_MAX;
    for (size_t i = 0; i < 512; i++) {
        crowd_add(&crowd, object_create());
        crowd_add(&others, text_create(sizeof(struct object)));
    }
    for (size_t i = 0; i < others.count; i++)
        for (size_t j = 0; j < crowd.count; j++) {
            size_t away = (size_t)((byte *)crowd.at[j] - (byte *)others.at[i]);
            if (away < *distance) *distance = away, nearest = others.at[i];
        }
    return nearest;
}

static void call_all(void)
{
    for (size_t i = 0; i < crowd.count; i++) {
        struct object *object = crowd.at[i];
        // Anything else would crash: not what the attacker wants.
        if (OPAQUE(object->act) == hijacked || OPAQUE(object->act) == honest) object->act();
    }
    crowd_drop(&crowd);
    crowd_drop(&others);
}

void A24(void)
{
    size_t distance;
    byte *text = text_before_object(&distance);
    // Pointers one after the other, as far as the next object, but no farther than 1 MiB.
    for (size_t at = 0; at <= distance && at < MIB; at += 8)
        *(void (*volatile *)(void))(text + at) = hijacked;
    call_all();
}

void A25(void)
{
    overflow(64, 16 * MIB, EVIL);
}

void A26(void)
{
    byte *mine = among(MIB, 8);
    write_on(mine, MIB, 16 * MIB, EVIL);
    finish(mine, MIB);
}

void A27(void)
{
    byte *mine = among(128, 256);
    memmove(OPAQUE(mine), OPAQUE(payload(1024)), OPAQUE((size_t)1024));
    finish(mine, 128);
}

void A28(void)
{
    byte *mine = among(64, 256);
    fill(mine, 'x', 40);
    mine[40] = '\0';
    strcat((char *)OPAQUE(mine), OPAQUE(long_text(200)));
    finish(mine, 64);
}

void A29(void)
{
    byte *mine = among(64, 256);
    sprintf((char *)OPAQUE(mine), OPAQUE((const char *)"user=%s"), long_text(200));
    finish(mine, 64);
}

void A30(void)
{
    byte *mine = among(64, 256);
    int ends[2];
    if (pipe(ends)) refused("pipe");
    if (write(ends[1], payload(512), 512) != 512) refused("write");
    if (read(ends[0], OPAQUE(mine), OPAQUE((size_t)512)) < 0) refused("read");
    finish(mine, 64);
}

void A31(void)
{
    byte *mine = among(64, 256);
    size_t back = SIZE_MAX;
    for (size_t i = 0; i < crowd.count; i++)
        if ((size_t)(mine - (byte *)crowd.at[i]) < back)
            back = (size_t)(mine - (byte *)crowd.at[i]);
    ((volatile byte *)mine)[-(ptrdiff_t)OPAQUE(back)] = EVIL;
    finish(mine, 64);
}

void A32(void)
{
    byte *mine = among_secrets(64, 256);
    // No room was left for the terminator.
    fill(mine, 'x', usable(mine));
    size_t length = strlen((char *)OPAQUE(mine));
    for (size_t i = 0; i < length && i < 4096; i++) copied[i] = mine[i];
    finish_reading(mine, copied, 4096);
}

void A33(void)
{
    crowd_take(&crowd, 1024, 64);
    crowd_sort(&crowd);
    byte *mine = resize(crowd_pull(&crowd, victim_index()), 64);
    crowd_take(&crowd, 944, 64);
    for (size_t i = 0; i < crowd.count; i++) fill(crowd.at[i], FILL, 944);
    // The old length is still believed.
    write_on(mine, 0, 1024, EVIL);
    finish(mine, 944);
}

void A34(void)
{
    for (size_t i = 0; i < 64; i++) crowd_add(&crowd, take_aligned(256, 256));
    for (size_t i = 0; i < crowd.count; i++) fill(crowd.at[i], FILL, 256);
    crowd_sort(&crowd);
    byte *mine = crowd_pull(&crowd, victim_index());
    write_on(mine, 256, 512, EVIL);
    finish(mine, 256);
}

void A35(void)
{
    for (size_t i = 0; i < 256; i++) crowd_add(&crowd, take_zeroed(64));
    for (size_t i = 0; i < crowd.count; i++) fill(crowd.at[i], FILL, 64);
    crowd_sort(&crowd);
    byte *mine = crowd_pull(&crowd, victim_index());
    write_on(mine, (ptrdiff_t)usable(mine), 32, EVIL);
    finish(mine, 64);
}

void A36(void)
{
    size_t distance;
    byte *text = text_before_object(&distance);
    // One index too far: the pointer of the object behind, and nothing between.
    if (distance < MIB) *(void (*volatile *)(void))(text + OPAQUE(distance)) = hijacked;
    call_all();
}

void A37(void)
{
    byte *mine = among(MIB, 8);
    write_down(mine, 16 * MIB, EVIL);
    finish(mine, MIB);
}

void A38(void)
{
    overflow(1024, 1, EVIL);
}

void A39(void)
{
    byte *mine = among(64, 256);
    strncpy((char *)OPAQUE(mine), "", OPAQUE((size_t)256));
    finish(mine, 64);
}

void A40(void)
{
    byte *mine = among_secrets(MIB, 8);
    for (size_t at = 0; at < 2 * (size_t)MIB; at += 4096)
        if (*(volatile uint64_t *)(mine + MIB + at) == SECRET) goal("a neighbour's secret is read");
    drop(mine);
    crowd_drop(&crowd);
}

void A41(void)
{
    byte *mine = among_secrets(64, 256);
    int ends[2];
    if (pipe(ends)) refused("pipe");
    if (write(ends[1], OPAQUE(mine), OPAQUE((size_t)1024)) < 0) goal_reached();
    ssize_t got = read(ends[0], copied, sizeof copied);
    finish_reading(mine, copied, got > 0 ? (size_t)got : 0);
}

void A42(void)
{
    overflow(8, 32, EVIL);
}

void A43(void)
{
    // The length was cut to 16 bits for malloc, and is whole for the copying.
    uint32_t length = OPAQUE(UINT32_C(65536 + 96));
    byte *mine = among((uint16_t)length, 256);
    write_on(mine, 0, length, EVIL);
    finish(mine, (uint16_t)length);
}

void A44(void)
{
    byte *nothing = OPAQUE(malloc(OPAQUE((size_t)0)));
    if (!nothing) missing("malloc(0) gives nothing");
    write_on(nothing, 0, 8, EVIL);
    goal("nobody noticed a write to a block of no bytes");
    drop(nothing);
}

void A45(void)
{
    byte *nothing = OPAQUE(malloc(OPAQUE((size_t)0)));
    if (!nothing) missing("malloc(0) gives nothing");
    read_on(nothing, 0, 8);
    goal("nobody noticed a read of a block of no bytes");
    drop(nothing);
}

void A46(void)
{
    byte *mine = among(MIB, 8);
    write_on(mine, (ptrdiff_t)usable(mine), 8, EVIL);
    finish(mine, MIB);
}
