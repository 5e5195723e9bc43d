/*
 * The reader of the mailbox against anything that may stand there. Some blocks are live, each with a guess at an entry;
 * the input chooses entries, spoils them and the head, tears the list, withdraws it. Whatever comes: what is not named
 * exactly as it is stays, and what went is counted. The sanitizer sees what is read beyond the box.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "face/plug.h"
#include "kit/expect.h"
#include "list.h"

enum { BLOCKS = 24, ENTRIES = 64 };

struct input {
    const uint8_t *at, *end;
};

static uint8_t next(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static uint64_t word(struct input *in)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | next(in);
    return value;
}

struct world {
    struct fh_plug_box *box;
    void *block[BLOCKS];
    struct fh_plug_entry entry[BLOCKS];
    unsigned named[BLOCKS];
};

static void world_make(struct world *w, struct input *in)
{
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = i % 8 == 7 ? 70000 : i % 8 == 6 ? 9000 : (size_t)next(in) * 4;
        w->block[i] = fh_malloc(size);
        EXPECT(w->block[i] != NULL, "no memory");
        memset(w->block[i], i + 1, fh_malloc_usable_size(w->block[i]));
        w->entry[i] = plug_entry_of(w->block[i]);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = ((const struct fh_plug_entry *)a)->offset,
             y = ((const struct fh_plug_entry *)b)->offset;
    return (x > y) - (x < y);
}

static struct fh_plug_entry choose(struct world *w, struct input *in)
{
    uint8_t how = next(in), which = next(in) % BLOCKS;
    struct fh_plug_entry e = w->entry[which];
    switch (how % 8) {
    case 0: e.offset += next(in); break;
    case 1: e.size = word(in); break;
    case 2: e.hash ^= 1ull << next(in) % 64; break;
    case 3: e.offset = word(in); break;
    case 4: e = (struct fh_plug_entry){word(in), word(in), word(in)}; break;
    default: break;
    }
    return e;
}

static void put(struct world *w, struct input *in)
{
    struct fh_plug_entry list[ENTRIES];
    struct fh_plug_head head = {0};
    uint64_t count = next(in) % ENTRIES;
    uint8_t how = next(in);
    for (uint64_t i = 0; i < count; i++) list[i] = choose(w, in);
    if (how & 1) qsort(list, count, sizeof *list, compare);
    if (how & 2) head.look = 1 + next(in) % 2;
    if ((how & 12) == 12) head.version = word(in);
    if ((how & 48) == 48) head.count = word(in);
    if ((how & 48) == 16) head.image = word(in);
    if ((how & 192) == 192) head.checksum = word(in);
    plug_list_put(w->box, head, list, count);
    if ((how & 192) == 128)
        ((uint8_t *)&w->box->list)[word(in) % sizeof w->box->list] ^= next(in) | 1;
}

static void name_all(struct world *w)
{
    uint64_t count = w->box->list.head.count;
    for (uint64_t i = 0; i < count && i < FH_PLUG_ENTRIES; i++) {
        for (int j = 0; j < BLOCKS; j++)
            w->named[j] += memcmp(&w->box->list.entry[i], &w->entry[j], sizeof w->entry[j]) == 0;
    }
}

/* A block that no list has named is as it was. */
static void check(struct world *w, uint64_t went)
{
    uint64_t missing = 0;
    for (int i = 0; i < BLOCKS; i++) {
        struct fh_description d;
        enum fh_kind kind = fh_describe(w->block[i], &d);
        bool live = (kind == FH_BLOCK || kind == FH_LARGE) && d.start == w->block[i];
        EXPECT(live || w->named[i], "a block went that nobody named");
        if (!live) {
            missing++;
            continue;
        }
        struct fh_plug_entry now = plug_entry_of(w->block[i]);
        EXPECT(now.hash == w->entry[i].hash, "a block was changed");
        fh_free(w->block[i]);
    }
    EXPECT(missing == went, "%llu went, %llu are missing", (unsigned long long)went,
           (unsigned long long)missing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fh_plug_box *box;
    if (!box) box = plug_test_start();
    struct input in = {data, data + size};
    struct world w = {.box = box};
    uint64_t before = box->blocks;
    world_make(&w, &in);
    do {
        put(&w, &in);
        name_all(&w);
        for (int i = 0; i < 6; i++) plug_tick();
    } while (in.at < in.end);
    plug_list_put(box, (struct fh_plug_head){0}, NULL, 0);
    plug_tick();
    check(&w, box->blocks - before);
    return 0;
}
