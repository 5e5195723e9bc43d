#include "list.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "face/plug.h"
#include "kit/expect.h"

struct fh_plug_box *plug_test_start(void)
{
    /* The first look would be in an hour, and no command is started before that. */
    setenv("FREEHOLD_OPTIONS", "plug,plug_age=3600000,plug_rate=1G,purge=0", 1);
    fh_free(fh_malloc(1));
    EXPECT(fh_registry.plug != 0, "no mailbox");
    return (struct fh_plug_box *)fh_registry.plug;
}

struct fh_plug_entry plug_entry_of(const void *p)
{
    size_t size = (fh_malloc_usable_size(p) + 15) / 16 * 16;
    struct fh_plug_hash hash = fh_plug_hash_begin();
    fh_plug_hash_add(&hash, p, size);
    return (struct fh_plug_entry){(uintptr_t)p - fh_registry.base, size, fh_plug_hash_end(&hash)};
}

void plug_list_put(struct fh_plug_box *box, struct fh_plug_head head,
                   const struct fh_plug_entry *entries, uint64_t count)
{
    static uint64_t looks = 1000;
    if (!head.sequence) head.sequence = (box->list.head.sequence | 1) + 1;
    if (!head.image) head.image = box->image;
    if (!head.version) head.version = box->version;
    if (!head.look) head.look = ++looks;
    if (!head.count) head.count = count;
    if (count) memcpy(box->list.entry, entries, count * sizeof *entries);
    if (!head.checksum && head.count <= FH_PLUG_ENTRIES)
        head.checksum = fh_plug_checksum(&head, box->list.entry);
    box->list.head = head;
}

void plug_list_work(struct fh_plug_box *box)
{
    for (int i = 0; i < 1000 && box->taken != box->list.head.sequence; i++) {
        plug_tick();
        if (i % 8 == 7) usleep(1000);
    }
}
